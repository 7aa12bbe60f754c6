"""The Cohorts page as an ASGI application without Airflow: mounted below ``/cohorts/``, every address in it relative.

Routes are plain ``def`` functions: FastAPI runs them in threads, so a slow count never freezes the server around it.
"""

# No postponed annotations here: FastAPI could not resolve the dependencies that are parameters of the enclosing function.

import json
from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Form, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment
from starlette.exceptions import HTTPException

from fairlead.errors import FairleadError, NotFound
from fairlead.records import CohortVersion
from fairlead.workbench.centers import add_centers, centers_view
from fairlead.workbench.charts import charts
from fairlead.workbench.definition import definition_of, state_of
from fairlead.workbench.rendering import FOLDER, Refusals, environment, wants_fragment
from fairlead.workbench.security import SecureHeaders, check_origin, check_token, form_token
from fairlead.workbench.services import ExportState, User, Workbench
from fairlead.workbench.state import MAX_PARAMETERS, InvalidQuery, PageState, read_state
from fairlead.workbench.view import page_view

type Dependency = Callable[..., Any]

MAX_TITLE: Final = 200
MAX_PURPOSE: Final = 2000
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
    _add_freeze(app, services, current_user=current_user, may_freeze=may_freeze)
    _add_exports(app, services, templates=templates)
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
        view = page_view(state, services)
        values = {
            "view": view,
            "charts": charts(state, services) if state.tab == "charts" else (),
            "reopen": _reopen(view.selected.version, services) if view.selected else "",
            "token": form_token(services.form_key, user.id),
            "workbench": services,
            "centers": centers_view(state, services),
        }
        if not wants_fragment(request):
            return HTMLResponse(templates.get_template("page.html").render(values), headers={"Vary": "HX-Request"})
        body = templates.get_template("body.html").render(values)
        return HTMLResponse(body, headers={"Vary": "HX-Request", "HX-Push-Url": state.link(page=state.page)})

    @app.get("/definition")
    def definition(request: Request) -> Response:
        """Return the definition document of a link, as a file."""
        state = read_state(request.query_params.multi_items(), services.catalogue)
        text = json.dumps(definition_of(state), indent=2, ensure_ascii=False) + "\n"
        return Response(text, media_type="application/json", headers={"Content-Disposition": 'attachment; filename="cohort.json"'})


def _reopen(version: CohortVersion, services: Workbench) -> str:
    """Return the link to the filters of a frozen definition, or nothing when it says more than filters can."""
    state = state_of(version.definition, services.catalogue)
    return state.link(version=version.ref) if state else ""


def _add_freeze(app: FastAPI, services: Workbench, *, current_user: Dependency, may_freeze: Dependency) -> None:
    def genuine(request: Request, token: Annotated[str, Form()], user: Annotated[User, Depends(current_user)]) -> User:
        check_origin(request.headers)
        check_token(token, services.form_key, user.id)
        return user

    @app.post("/freeze", dependencies=[Depends(may_freeze)])
    def freeze(
        user: Annotated[User, Depends(genuine)],
        title: Annotated[str, Form(min_length=1, max_length=MAX_TITLE)],
        state: Annotated[str, Form(max_length=64_000)] = "",
        purpose: Annotated[str, Form(max_length=MAX_PURPOSE)] = "",
    ) -> RedirectResponse:
        """Freeze what the form's state selects and go back to the page with the new version in view."""
        named = title.strip()
        if not named:
            raise InvalidQuery("The cohort has no title.", remedy="Give it one that colleagues will recognise.")
        asked = _state_of_form(state, services)
        version = services.versions.freeze(definition_of(asked, title=named), author=user.name, title=named, purpose=purpose.strip())
        return RedirectResponse(asked.link(version=version.ref), status_code=303)


def _state_of_form(text: str, services: Workbench) -> PageState:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise InvalidQuery(f"The form holds more than {MAX_PARAMETERS} parameters.") from error
    return read_state(pairs, services.catalogue)


def _add_exports(app: FastAPI, services: Workbench, *, templates: Environment) -> None:
    @app.get("/exports")
    def exports(request: Request, run: Annotated[str, Query(pattern=RUN_ID)]) -> Response:
        """Return where the export of an Airflow run stands: a fragment for the page, JSON for programs."""
        export = services.exports.of_run(run)
        if export is None:
            raise NotFound("This run has not registered an export yet.", remedy="Wait for its first task, or look at the run in Airflow.")
        if "application/json" in request.headers.get("accept", ""):
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
