"""What the commands of ``fairlead cohort`` share: what the settings name, the arguments, and how lists and versions are written."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from fairlead.commands.shared import complain, emit, settings_of

if TYPE_CHECKING:
    from fairlead.cohort import CohortStore, Definition
    from fairlead.extract import FieldCatalogue
    from fairlead.index import Index
    from fairlead.records import CohortSummary, CohortVersion, JsonObject

DefinitionArgument = Annotated[str, typer.Argument(metavar="DEF", help="Definition file, JSON or YAML; - is standard input.")]
ReferenceArgument = Annotated[
    str, typer.Argument(metavar="REF", help="Frozen version ID@N, or sha256:… of its definition or members; ID alone is the newest.")
]
AuthorOption = Annotated[str | None, typer.Option(help="Who freezes (default: the user of this process).")]
OutputOption = Annotated[Path | None, typer.Option(help="File to write, as a whole or not at all (default: standard output).")]


@dataclass(frozen=True, slots=True)
class OpenedCohorts:
    """Index, catalogue and store of one installation."""

    index: Index
    catalogue: FieldCatalogue
    store: CohortStore

    @property
    def asked(self) -> dict[str, Any]:
        """What every question about a definition needs."""
        return {"index": self.index, "catalogue": self.catalogue, "cohorts": self.store.resolve}

    def parse(self, source: str) -> Definition:
        """Read and check a definition."""
        from fairlead.cohort import parse_definition, read_definition

        return parse_definition(read_definition(source), self.catalogue)


def open_cohorts(context: typer.Context) -> OpenedCohorts:
    """Open what the settings name."""
    from fairlead.cohort import CohortStore
    from fairlead.database import open_database
    from fairlead.extract import load_catalogue
    from fairlead.index import open_index

    settings = settings_of(context)
    catalogue = load_catalogue(settings.fields_file)
    return OpenedCohorts(open_index(settings, catalogue), catalogue, CohortStore(open_database(settings)))


def user_of_process() -> str:
    """Return the name that the system gives the user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run a user without a name
        return "unknown"


def freeze_and_tell(
    opened: OpenedCohorts, definition: Definition, *, title: str | None, author: str, purpose: str = "", as_json: bool
) -> None:
    """Freeze a definition and print its version; say so when there was nothing new."""
    before = {version.ref: version for version in opened.store.list()}
    version = opened.store.freeze(definition, index=opened.index, catalogue=opened.catalogue, author=author, title=title, purpose=purpose)
    if version.ref in before:
        complain(f"Nothing changed since {version.ref} was frozen; there is no new version.")
    former = before.get(f"{version.id}@{version.version - 1}")
    if former is not None and former.definition_sha256 != version.definition_sha256:
        complain(f"This continues {version.id}, whose version {former.version} by {former.author} has another definition.")
    emit(
        frozen_document(version),
        as_json=as_json,
        text=lambda: f"{version.ref}  {version.counts.patients} patients, {version.counts.series} series",
    )


def tell_doubts(opened: OpenedCohorts, definition: Definition) -> None:
    """Question the values that no record states and no vocabulary knows, on standard error."""
    from fairlead.cohort import doubts

    for doubt in doubts(definition, opened.index, opened.catalogue, opened.store.consenting()):
        complain(doubt.words)


def frozen_document(version: CohortSummary) -> JsonObject:
    """Return what every command says of a version."""
    return {
        "id": version.id,
        "version": version.version,
        "definition_sha256": version.definition_sha256,
        "members_sha256": version.members_sha256,
        "patients": version.counts.patients,
        "series": version.counts.series,
        "index_generation": version.index_generation,
        "title": version.title,
        "unit": version.unit.value,
        "created_at": version.created_at.isoformat(),
        "author": version.author,
    }


def exported(opened: OpenedCohorts, reference: str) -> CohortVersion:
    """Return a version as an export may hold it; say how many members were withdrawn since it was frozen."""
    version = opened.store.exportable(reference)
    if gone := version.counts.series - len(version.members):
        complain(f"{gone} of {version.counts.series} members of {version.ref} were withdrawn since and are left out.")
    return version


def deliver(lines: Iterable[str], output: Path | None) -> int:
    """Write lines as they come, to a file that appears when it is complete or to standard output; return how many are no comments."""
    listed = 0

    def counted() -> Iterator[str]:
        """Yield the lines and count those that are no comments."""
        nonlocal listed
        for line in lines:
            listed += not line.startswith("#")
            yield line

    if output is None:
        for line in counted():
            typer.echo(line)
        return listed
    with whole_file(output) as file:
        file.writelines(f"{line}\n".encode() for line in counted())
    return listed


@contextmanager
def whole_file(output: Path) -> Iterator[BinaryIO]:
    """Give a file that appears when it is complete.

    Raises
    ------
    InvalidConfiguration : nobody may write there, or there is a folder of that name.
    """
    from fairlead.errors import InvalidConfiguration
    from fairlead.files import atomic_write, usable_folder

    usable_folder(output.absolute().parent, "folder")
    if output.is_dir():
        raise InvalidConfiguration(f"{output} is a folder.", remedy="Name the file to write: --output FILE.")
    with atomic_write(output) as file:
        yield file
