"""Templates and refusals: how values become HTML, and how an error becomes a page, a fragment or JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from fairlead.errors import Conflict, FairleadError, NotFound, NotPermitted, ServiceUnreachable
from fairlead.records import ImagingRecord
from fairlead.workbench.cards import short_label
from fairlead.workbench.state import parameter_text

FOLDER: Final = Path(__file__).parent
STATUS: Final[Mapping[type[FairleadError], int]] = {NotFound: 404, NotPermitted: 403, Conflict: 409, ServiceUnreachable: 503}
"""HTTP status of an error class and its subclasses; every other FairleadError is 400."""

WORDS: Final[Mapping[int, tuple[str, str]]] = {
    401: ("You are not signed in.", "Sign in to Airflow, then load the page again."),
    403: ("You may not do this.", "Ask an administrator for the role that allows it."),
    404: ("There is no such page.", "Go back to the Cohorts page."),
    405: ("This address does not take that kind of request.", "Go back to the Cohorts page."),
}


def _digest(text: str) -> str:
    """Return a short id for a value that may hold any character."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _caption(record: ImagingRecord) -> str:
    """Return what a picture is of, in coded words: no free text of a header."""
    core = record.core
    named = (core.modality, core.imaging_method, core.organism)
    shown = [short_label(one.curie, one.label or one.curie) for one in named if one is not None and one.curie]
    part = core.body_part.label if core.body_part is not None and core.body_part.label else ""
    return " · ".join(
        [
            *(shown or [short_label(core.kind, core.kind)]),
            *([part] if part else []),
            f"{core.instances} {'image' if core.instances == 1 else 'images'}",
        ]
    )


def environment() -> Environment:
    """Return the template environment: everything is escaped, and a name that is not given is an error."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.globals["replace"] = replace
    templates.filters |= {"digest": _digest, "parameter": parameter_text, "caption": _caption}
    return templates


def wants_fragment(request: Request) -> bool:
    """Return whether htmx asks for a part; after a lost history entry it wants the whole page."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-history-restore-request") != "true"


def status_of(error: FairleadError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 400)


class Refusals:
    """Turns errors into answers in the form the client asked for; never repeats text of an unforeseen error."""

    def __init__(self, templates: Environment) -> None:
        self._templates = templates

    def of_fairlead(self, request: Request, error: Exception) -> Response:
        """Answer a FairleadError with its message and remedy."""
        if not isinstance(error, FairleadError):
            return self.of_anything(request, error)
        return self._answer(request, status_of(error), code=error.code, message=error.message, remedy=error.remedy)

    def of_http(self, request: Request, error: Exception) -> Response:
        """Answer what FastAPI or Airflow's own dependencies raised (401, 403, 404, 405)."""
        if not isinstance(error, HTTPException):
            return self.of_anything(request, error)
        message, remedy = WORDS.get(error.status_code, ("The request failed.", "Load the page again."))
        answer = self._answer(request, error.status_code, code=f"http-{error.status_code}", message=message, remedy=remedy)
        answer.headers.update(error.headers or {})
        return answer

    def of_form(self, request: Request, _error: Exception) -> Response:
        """Answer a form that lacks a field or holds a wrong one."""
        return self._answer(request, 400, code="invalid-form", message="The form is not complete.", remedy="Fill it in and send it again.")

    def of_anything(self, request: Request, _error: Exception) -> Response:
        """Answer a defect without a word of what it said."""
        return self._answer(
            request, 500, code="internal", message="This is a defect of Fairlead.", remedy="Report it with the server's log."
        )

    def _answer(self, request: Request, status: int, **words: Any) -> Response:
        if "application/json" in request.headers.get("accept", "") and "hx-request" not in request.headers:
            problem = {"type": words["code"], "title": words["message"], "detail": words["remedy"], "status": status}
            return JSONResponse(problem, status, media_type="application/problem+json")
        template = "alert.html" if wants_fragment(request) else "error.html"
        return HTMLResponse(self._templates.get_template(template).render(status=status, **words), status)
