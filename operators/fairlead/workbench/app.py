"""The Cohorts page as an ASGI application without Airflow: mounted below ``/cohorts/``, every address in it relative.

Routes are plain ``def`` functions: FastAPI runs them in threads, so a slow count never freezes the server around it.
"""

# No postponed annotations here: FastAPI could not resolve the dependencies that are parameters of the enclosing function.

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Form, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment
from starlette.exceptions import HTTPException

from fairlead.cohort import DraftChanged
from fairlead.errors import FairleadError, NotFound
from fairlead.records import ImagingRecord
from fairlead.workbench.access import narrowed, own_draft, project_of, require_records
from fairlead.workbench.cards import CardKind, cards_for
from fairlead.workbench.centers import add_centers, centers_view
from fairlead.workbench.charts import charts
from fairlead.workbench.comparing import comparison, sets_view
from fairlead.workbench.definition import definition_of
from fairlead.workbench.drafting import conflict, save_draft
from fairlead.workbench.facets import becoming, card_view, found_view
from fairlead.workbench.looking import add_looking
from fairlead.workbench.pictures import Tickets
from fairlead.workbench.reading import read_state
from fairlead.workbench.rendering import FOLDER, Refusals, environment, wants_fragment
from fairlead.workbench.search import suggest
from fairlead.workbench.security import SecureHeaders, check_origin, check_token, form_token
from fairlead.workbench.services import ExportState, User, Workbench
from fairlead.workbench.state import MAX_PARAMETERS, InvalidQuery, PageState
from fairlead.workbench.taking import FORMS, add_members, citation
from fairlead.workbench.view import opened, page_view

type Dependency = Callable[..., Any]

MAX_TITLE: Final = 200
MAX_PURPOSE: Final = 2000
SAMPLE: Final = 24
RECORD_TABS: Final = ("samples", "table", "compare")
"""What shows single records, and is written down."""
MAX_NOTED: Final = 2000
RUN_ID: Final = r"^[A-Za-z0-9_.~:+-]{1,250}$"


def create_app(services: Workbench, *, current_user: Dependency, may_read: Dependency, may_freeze: Dependency) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    current_user : dependency that returns a :class:`User`, or raises 401.
    may_read : dependency that raises unless the caller may see counts; it guards every route.
    may_freeze : dependency that raises unless the caller may change something.
    """
    templates = environment()
    app = FastAPI(title="Cohorts", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(may_read)])
    app.add_middleware(SecureHeaders)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")  # scripts and styles only, never data
    _handle_refusals(app, Refusals(templates))
    _add_pages(app, services, templates=templates, current_user=current_user)
    genuine = _genuine(services, current_user)
    _add_freeze(app, services, genuine=genuine, may_freeze=may_freeze)
    _add_drafts(app, services, templates, genuine=genuine, may_freeze=may_freeze)
    _add_exports(app, services, templates=templates, current_user=current_user)
    add_members(app, services, current_user=current_user)
    add_looking(app, services, templates=templates, current_user=current_user)
    add_centers(app, services, templates=templates, current_user=current_user)
    return app


def _handle_refusals(app: FastAPI, refusals: Refusals) -> None:
    app.add_exception_handler(FairleadError, refusals.of_fairlead)
    app.add_exception_handler(HTTPException, refusals.of_http)
    app.add_exception_handler(RequestValidationError, refusals.of_form)
    app.add_exception_handler(Exception, refusals.of_anything)


def _add_pages(app: FastAPI, services: Workbench, *, templates: Environment, current_user: Dependency) -> None:
    @app.get("/", response_class=HTMLResponse)
    def page(request: Request, user: Annotated[User, Depends(current_user)]) -> HTMLResponse:
        """Return the page, or its body when htmx asks; the address bar gets the canonical link."""
        state = read_state(request.query_params.multi_items(), services.catalogue)
        fragment = wants_fragment(request)
        values = page_values(state, narrowed(services, user), user, whole=not fragment, address=str(request.url.replace(query="")))
        if state.tab in RECORD_TABS and user.sees_records:
            services.audit.note(user.name, f"look-{state.tab}", state.version, query=state.query()[:MAX_NOTED])
        if not fragment:
            return HTMLResponse(templates.get_template("page.html").render(values), headers={"Vary": "HX-Request"})
        body = templates.get_template("body.html").render(values)
        return HTMLResponse(body, headers={"Vary": "HX-Request", "HX-Push-Url": state.link(page=state.page)})

    @app.get("/open")
    def reopen(request: Request, user: Annotated[User, Depends(current_user)]) -> RedirectResponse:
        """Lead to the view of a frozen version: its filters and its numbers, whatever the page asked before."""
        asked = read_state(request.query_params.multi_items(), services.catalogue)
        own = narrowed(services, user)
        version = own.versions.get(asked.version)
        return RedirectResponse(
            replace(opened(version, own, user), tab=asked.tab, sort=asked.sort).link(version=version.ref), status_code=303
        )

    @app.get("/suggest", response_class=HTMLResponse)
    def suggestions(request: Request, user: Annotated[User, Depends(current_user)]) -> HTMLResponse:
        """Return what the words of the search box may mean in the present cohort."""
        state = read_state(request.query_params.multi_items(), services.catalogue)
        cards = [card for card in cards_for(services.catalogue.fields) if card.kind is not CardKind.NUMBER]
        facets = narrowed(services, user).data.facets(definition_of(state), [card.field for card in cards])
        found = suggest(state, facets, cards)
        return HTMLResponse(templates.get_template("suggestions.html").render(suggestions=found, query=state.q))

    _add_later(app, services, templates, current_user=current_user)
    tickets = Tickets(services.form_key)

    @app.get("/picture")
    def picture(of: Annotated[str, Query(max_length=2000)], user: Annotated[User, Depends(current_user)]) -> Response:
        """Return the small picture of one record, or a drawing that says why there is none."""
        require_records(user)
        shown = services.pictures.picture(narrowed(services, user).data.record(tickets.redeem(of)))
        return Response(shown.content, media_type=shown.media_type)

    @app.get("/definition")
    def definition(request: Request) -> Response:
        """Return the definition document of a link, as a file."""
        state = read_state(request.query_params.multi_items(), services.catalogue)
        text = json.dumps(definition_of(state), indent=2, ensure_ascii=False) + "\n"
        return Response(text, media_type="application/json", headers={"Content-Disposition": 'attachment; filename="cohort.json"'})


def _add_later(app: FastAPI, services: Workbench, templates: Environment, *, current_user: Dependency) -> None:
    """Add what a page asks for after its numbers are on the screen."""

    @app.get("/becoming", response_class=HTMLResponse)
    def become(request: Request, user: Annotated[User, Depends(current_user)]) -> HTMLResponse:
        """Return what each value of the cards in use would make of the whole."""
        state = read_state(request.query_params.multi_items(), services.catalogue)
        return HTMLResponse(templates.get_template("becoming.html").render(cards=becoming(state, narrowed(services, user))))

    @app.get("/card", response_class=HTMLResponse)
    def one_card(
        request: Request, card: Annotated[str, Query(max_length=200)], user: Annotated[User, Depends(current_user)]
    ) -> HTMLResponse:
        """Return the values of one card that hold what is searched for there."""
        state = read_state((pair for pair in request.query_params.multi_items() if pair[0] != "card"), services.catalogue)
        facet = found_view(card, state, narrowed(services, user))
        return HTMLResponse(templates.get_template("card_list.html").render(facet=facet, state=state, whole=False))

    @app.get("/values", response_class=HTMLResponse)
    def values(request: Request, card: Annotated[str, Query(max_length=200)], user: Annotated[User, Depends(current_user)]) -> HTMLResponse:
        """Return the values of one card that are folded away."""
        asked = (pair for pair in request.query_params.multi_items() if pair[0] != "card")
        facet = card_view(card, read_state(asked, services.catalogue), narrowed(services, user))
        return HTMLResponse(templates.get_template("values.html").render(facet=facet))


def page_values(state: PageState, services: Workbench, user: User, *, whole: bool = True, address: str = "") -> dict[str, Any]:
    """Return everything that the templates of the page name."""
    view = page_view(state, services, user, whole=whole)
    return {
        "view": view,
        "charts": charts(state, services) if state.tab == "charts" else (),
        "compared": comparison(state, services, user) if state.tab == "compare" else None,
        "sets": sets_view(state, services) if state.tab == "sets" else None,
        "samples": _samples(state, services) if state.tab == "samples" and user.sees_records else (),
        "token": form_token(services.form_key, user.id),
        "workbench": services,
        "centers": centers_view(state, services),
        "ticket": Tickets(services.form_key).issue,
        "forms": FORMS,
        "cited": citation(view.selected.version, address) if view.selected else None,
    }


def _samples(state: PageState, services: Workbench) -> tuple[tuple[str, tuple[ImagingRecord, ...]], ...]:
    """Return the drawn records patient by patient, under short pseudonyms."""
    groups: dict[tuple[str, str, str], list[ImagingRecord]] = {}
    for record in services.data.sample(definition_of(state), size=SAMPLE, seed=state.seed):
        groups.setdefault((record.core.patient_key, record.core.project, record.core.center), []).append(record)
    return tuple((key[:9], tuple(found)) for (key, _, _), found in groups.items())


def _genuine(services: Workbench, current_user: Dependency) -> Dependency:
    """Return the dependency of every changing route: the user, when origin and token hold."""

    def genuine(request: Request, token: Annotated[str, Form()], user: Annotated[User, Depends(current_user)]) -> User:
        """Return the user of a form that this page gave to this user."""
        check_origin(request.headers)
        check_token(token, services.form_key, user.id)
        return user

    return genuine


def _add_freeze(app: FastAPI, services: Workbench, *, genuine: Dependency, may_freeze: Dependency) -> None:
    @app.post("/freeze", dependencies=[Depends(may_freeze)])
    def freeze(
        user: Annotated[User, Depends(genuine)],
        title: Annotated[str, Form(min_length=1, max_length=MAX_TITLE)],
        state: Annotated[str, Form(max_length=64_000)] = "",
        purpose: Annotated[str, Form(max_length=MAX_PURPOSE)] = "",
    ) -> RedirectResponse:
        """Freeze what the form's state selects and go back to the page with the new version in view."""
        asked, named, own = _state_of_form(state, services), _titled(title), narrowed(services, user)
        version = own.versions.freeze(
            definition_of(asked, title=named), author=user.name, title=named, purpose=purpose.strip(), project=project_of(asked, user)
        )
        return RedirectResponse(asked.link(version=version.ref, against=""), status_code=303)


def _add_drafts(app: FastAPI, services: Workbench, templates: Environment, *, genuine: Dependency, may_freeze: Dependency) -> None:
    @app.post("/drafts", dependencies=[Depends(may_freeze)], response_model=None)
    def save(
        user: Annotated[User, Depends(genuine)],
        request: Request,
        title: Annotated[str, Form(min_length=1, max_length=MAX_TITLE)],
        state: Annotated[str, Form(max_length=64_000)] = "",
        purpose: Annotated[str, Form(max_length=MAX_PURPOSE)] = "",
        action: Annotated[str, Form(pattern="^(save|copy)$")] = "save",
        seen: Annotated[int, Form(ge=0)] = 0,
    ) -> Response:
        """Save the filters as a draft; whoever comes second is shown both sides and chooses."""
        asked, named = _state_of_form(state, services), _titled(title)
        if action == "copy":
            asked = replace(asked, draft="", rev=0)
        if asked.draft:
            own_draft(services, asked.draft, user)
            asked = replace(asked, rev=seen or asked.rev)
        own = narrowed(services, user)
        try:
            saved = save_draft(asked, own, user, title=named, purpose=purpose.strip(), project=project_of(asked, user))
        except DraftChanged as error:
            both = conflict(error, asked, services.catalogue, title=named, purpose=purpose.strip())
            values = {"conflict": both, "token": form_token(services.form_key, user.id)}
            name = "conflict.html" if wants_fragment(request) else "conflict_page.html"
            return HTMLResponse(templates.get_template(name).render(values), 409)
        return RedirectResponse(asked.link(page=asked.page, draft=saved.id, rev=saved.revision), status_code=303)

    @app.post("/drafts/discard", dependencies=[Depends(may_freeze)])
    def discard(user: Annotated[User, Depends(genuine)], state: Annotated[str, Form(max_length=64_000)] = "") -> RedirectResponse:
        """Delete the draft that is open, unless somebody saved it since; the filters stay in view."""
        asked = _state_of_form(state, services)
        own_draft(services, asked.draft, user)
        services.drafts.discard(asked.draft, revision=asked.rev, by=user.name)
        return RedirectResponse(f".{asked.link(draft='', rev=0)}", status_code=303)


def _titled(title: str) -> str:
    named = title.strip()
    if not named:
        raise InvalidQuery("The cohort has no title.", remedy="Give it one that colleagues will recognise.")
    return named


def _state_of_form(text: str, services: Workbench) -> PageState:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise InvalidQuery(f"The form holds more than {MAX_PARAMETERS} parameters.") from error
    return read_state(pairs, services.catalogue)


def _add_exports(app: FastAPI, services: Workbench, *, templates: Environment, current_user: Dependency) -> None:
    @app.get("/exports")
    def exports(request: Request, run: Annotated[str, Query(pattern=RUN_ID)], user: Annotated[User, Depends(current_user)]) -> Response:
        """Return where the export of an Airflow run stands: a fragment for the page, JSON for programs."""
        export = services.exports.of_run(run)
        if export is not None and user.projects is not None:
            narrowed(services, user).versions.get(export.cohort)
        program = "application/json" in request.headers.get("accept", "")
        if export is None and not program:
            return Response(status_code=204)  # nothing to show yet: to a page that follows a new run that is no fault
        if export is None:
            raise NotFound("This run has not registered an export yet.", remedy="Wait for its first task, or look at the run in Airflow.")
        if program:
            return JSONResponse(_document(export))
        return HTMLResponse(templates.get_template("export.html").render(export=export, workbench=services))


def _document(export: ExportState) -> dict[str, Any]:
    return {
        "run": export.run_id,
        "cohort": export.cohort,
        "state": export.state,
        "reason": export.reason,
        "final": export.final,
        "dataset": export.dataset_iri,
    }
