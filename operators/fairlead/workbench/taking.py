"""What is taken along of a frozen version: lists of its members and of their addresses as files, and the words that cite it.

The lists are the cohort room's own, so a file of the page and one of `fairlead cohort members` or `manifest` are the same, byte by byte.
"""

# No postponed annotations here: FastAPI could not resolve the dependency that is a parameter of the enclosing function.

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import batched, chain
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Response
from fastapi.responses import StreamingResponse

from fairlead.cohort import dicomweb_manifest, export_members, fhir_members, parquet_parts, present_members, s5cmd_manifest
from fairlead.errors import UnsupportedInput
from fairlead.index import Index
from fairlead.records import CohortSummary, CohortVersion
from fairlead.workbench.access import narrowed, require_records
from fairlead.workbench.services import User, Workbench

type Dependency = Callable[..., Any]

LINES_AT_ONCE: Final = 1000
MAX_ADDRESS: Final = 2000
VERSION: Final = r"^[0-9a-f-]{1,64}@[1-9][0-9]{0,8}$"


@dataclass(frozen=True, slots=True)
class Form:
    """One way of taking members along: what the link says, the file's suffix and its media type."""

    title: str
    suffix: str
    media_type: str


FORMS: Final[Mapping[str, Form]] = {
    "csv": Form("CSV", "csv", "text/csv; charset=utf-8"),
    "parquet": Form("Parquet", "parquet", "application/vnd.apache.parquet"),
    "ndjson": Form("NDJSON", "ndjson", "application/x-ndjson"),
    "s5cmd": Form("s5cmd", "s5cmd.txt", "text/plain; charset=utf-8"),
    "fhir": Form("FHIR Group", "fhir.json", "application/fhir+json"),
    "dicomweb": Form("DICOMweb", "dicomweb.txt", "text/plain; charset=utf-8"),
}
"""What the page offers, in this order; DICOMweb needs the address of a service besides."""


def member_file(version: CohortVersion, index: Index, form: str, *, base: str = "") -> Iterator[bytes]:
    """Yield a file of the members that the version has; raise UnsupportedInput for another form than those of :data:`FORMS`."""
    match form:
        case "parquet":
            return parquet_parts(version, index)
        case "csv" | "ndjson":
            return _chunks(export_members(version, index, form))
        case "s5cmd":
            return _chunks(s5cmd_manifest(version, index))
        case "dicomweb":
            return _chunks(dicomweb_manifest(version, index, base))
        case "fhir":
            return _chunks(iter([json.dumps(fhir_members(version, present_members(version, index).patients), indent=2)]))
        case _:
            raise UnsupportedInput(f"There is no list {form[:20]!r} of members.", remedy=f"Choose one of: {', '.join(FORMS)}.")


def _chunks(lines: Iterator[str]) -> Iterator[bytes]:
    """Yield many lines at once: every chunk of an answer is a thread's turn."""
    for part in batched(lines, LINES_AT_ONCE):
        yield "".join(f"{line}\n" for line in part).encode()


@dataclass(frozen=True, slots=True)
class Citation:
    """The words that cite a frozen version, and the address that opens it."""

    words: str
    address: str


def citation(version: CohortSummary, page: str) -> Citation:
    """Return how a version is cited: its title, its reference, the hash of its members, the day, and the page's link to it."""
    words = (
        f"“{version.title}”, version {version.version} of a Fairlead cohort ({version.ref}): {version.counts.patients} patients, "
        f"{version.counts.series} series, frozen on {version.created_at:%Y-%m-%d}; sha256 of the members {version.members_sha256}."
    )
    return Citation(words, f"{page}?version={version.ref}")


def add_members(app: FastAPI, services: Workbench, *, current_user: Dependency) -> None:
    """Add the route that hands out the members of a version."""

    @app.get("/members")
    def members(
        version: Annotated[str, Query(pattern=VERSION)],
        user: Annotated[User, Depends(current_user)],
        form: Annotated[str, Query(max_length=20)] = "csv",
        base: Annotated[str, Query(max_length=MAX_ADDRESS)] = "",
    ) -> Response:
        """Return the members of a version, without those that were withdrawn since, as a file; who took it is written down."""
        require_records(user)
        own = narrowed(services, user).versions
        ref = own.get(version).ref
        chunks = own.listed(ref, form, base=base)
        first = next(chunks, b"")  # what cannot be had is refused before the first byte
        services.audit.note(user.name, "list-members", ref, format=form)
        name = f"{ref.replace('@', '-v')}.{FORMS[form].suffix}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(chain([first], chunks), media_type=FORMS[form].media_type, headers=headers)
