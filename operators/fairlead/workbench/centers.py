"""The place on the Cohorts page for what other centres answer: one card at the top of the right column, and routes of its own.

Owned by federation. The page calls :func:`add_centers` once when it is built, and :func:`centers_view` for every page; what that
returns is ``centers`` in ``templates/centers.html``. None keeps the card away: an installation without other centres shows nothing.
Nobody is asked before somebody presses the button: every question is spent from a budget at every centre.
"""

# No postponed annotations here: FastAPI could not resolve the dependency that is a parameter of the enclosing function.

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from jinja2 import Environment

from fairlead.errors import FairleadError, NotFound, NotPermitted
from fairlead.records import JsonObject
from fairlead.workbench.access import narrowed
from fairlead.workbench.definition import definition_of
from fairlead.workbench.reading import read_state
from fairlead.workbench.services import User, Workbench
from fairlead.workbench.state import PageState

if TYPE_CHECKING:
    from fairlead.federation import Hub

TITLE: Final = "A cohort of the Cohorts page"


@dataclass(frozen=True, slots=True)
class CentersView:
    """What the card shows before anybody is asked."""

    names: tuple[str, ...]
    project: str
    query: str


@dataclass(frozen=True, slots=True)
class HubCenters:
    """The accepted centres of this installation's hub."""

    hub: "Hub"

    def names(self) -> tuple[str, ...]:
        """Return the centres that would be asked."""
        return tuple(center.name for center in self.hub.centers.list(accepted=True))

    def project(self) -> str:
        """Return the project that is asked under."""
        return self.hub.settings.federation.project

    async def ask(self, definition: JsonObject, *, person: str) -> AsyncIterator[JsonObject]:
        """Yield the answer of each centre as it comes, and a sum at the end."""
        from fairlead.federation import summed

        answers = []
        async for answer in self.hub.ask(definition, asking=self.hub.asking(person=person)):
            answers.append(answer)
            yield answer.as_json()
        yield {"sum": summed(answers)}


def add_centers(app: FastAPI, services: Workbench, *, templates: Environment, current_user: Callable[..., Any]) -> None:
    """Add routes below ``centers/``; every one is guarded by the application's own right to read."""

    @app.get("/centers/answers")
    def answers(request: Request, user: Annotated[User, Depends(current_user)]) -> StreamingResponse:
        """Stream the answers of the centres as server-sent events, one for each centre and one for the sum."""
        if services.centers is None:
            raise NotFound("This installation asks no other centres.", remedy="Set federation.project and federation.purpose.")
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":  # a question costs budget at every centre
            raise NotPermitted("Only the Cohorts page itself asks other centres.")
        state = read_state(request.query_params.multi_items(), services.catalogue)
        own = narrowed(services, user)
        for ref in (*state.of, *state.less):  # a cohort of another project is no criterion for this user
            own.versions.get(ref)
        person = "u-" + hashlib.sha256(user.id.encode()).hexdigest()[:16]
        asked = services.centers.ask(definition_of(state, title=TITLE), person=person)
        return StreamingResponse(_events(asked), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(answers: AsyncIterator[JsonObject]) -> AsyncIterator[str]:
    """Yield server-sent events (HTML standard, 9.2); the last one tells the browser not to connect again."""
    try:
        async for answer in answers:
            name = "sum" if "sum" in answer else "center"
            yield f"event: {name}\ndata: {json.dumps(answer, ensure_ascii=True)}\n\n"
    except FairleadError as error:
        yield f"event: problem\ndata: {json.dumps({'message': error.message, 'remedy': error.remedy}, ensure_ascii=True)}\n\n"


def centers_view(state: PageState, services: Workbench) -> CentersView | None:
    """Return what the card shows for the filters of the page, None for no card; must not wait for another centre."""
    if services.centers is None:
        return None
    names = services.centers.names()
    return CentersView(names, services.centers.project(), state.query()) if names else None
