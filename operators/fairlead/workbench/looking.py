"""From a small picture to the viewer: where a record is published, or why it cannot be looked at.

The viewer shows published images. A published image has no way back to the series it was made of, so the answer is the dataset that
holds it, whose page opens every image of it in the viewer; it is told to those who may see the records of the version anyway.
"""

# No postponed annotations here: FastAPI could not resolve the dependency that is a parameter of the enclosing function.

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from fairlead.workbench.access import narrowed, require_records
from fairlead.workbench.pictures import Tickets
from fairlead.workbench.rendering import wants_fragment
from fairlead.workbench.services import User, Workbench

type Dependency = Callable[..., Any]

VERSION: Final = r"^([0-9a-f-]{1,64}@[1-9][0-9]{0,8})?$"


@dataclass(frozen=True, slots=True)
class Look:
    """The words for one picture, and the address of the dataset that its viewer is at; empty where there is none."""

    words: str
    address: str = ""


def look(record_id: str, ref: str, services: Workbench) -> Look:
    """Return where one record can be looked at; ``services`` are those of the user, ``ref`` is the version in view."""
    if not ref:
        return Look("The viewer shows published images. Choose a version on the right that was published, and look again.")
    version = services.versions.get(ref)
    name = f"“{version.title}” v{version.version}"
    if not services.versions.holds(version.ref, record_id):
        return Look(f"This series is not in {name}; the viewer shows published images of the version in view.")
    published = next((export for export in services.exports.of_cohort(version.ref) if export.dataset_iri), None)
    if published is None:
        return Look(f"The viewer shows published images, and no export of {name} is published yet.")
    words = f"{name} is published as “{published.title}”; its page opens the images in the viewer."
    return Look(f"{words} Which of them was made of this series is told to nobody.", published.dataset_iri or "")


def add_looking(app: FastAPI, services: Workbench, *, templates: Environment, current_user: Dependency) -> None:
    """Add the route that a picture leads to."""
    tickets = Tickets(services.form_key)

    @app.get("/look", response_class=HTMLResponse)
    def look_at(
        request: Request,
        of: Annotated[str, Query(max_length=2000)],
        user: Annotated[User, Depends(current_user)],
        version: Annotated[str, Query(pattern=VERSION)] = "",
    ) -> HTMLResponse:
        """Return where one record can be looked at, or why not; that somebody asked is written down."""
        require_records(user)
        own = narrowed(services, user)
        found = look(own.data.record(tickets.redeem(of)).id, version, own)
        services.audit.note(user.name, "look-viewer", version)
        template = "looking.html" if wants_fragment(request) else "looking_page.html"
        return HTMLResponse(templates.get_template(template).render(look=found))
