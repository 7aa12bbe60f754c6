"""``fairlead cohort`` closer by: single records of a definition, why one belongs, and who looked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.commands.cohort_shared import DefinitionArgument, OpenedCohorts, open_cohorts, user_of_process
from fairlead.commands.shared import JsonFlag, emit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fairlead.cohort import Judged
    from fairlead.records import ImagingRecord, JsonObject


def register(cohort: typer.Typer) -> None:
    """Add the commands to the group."""
    cohort.command("sample")(sample)
    cohort.command("explain")(explain)
    cohort.command("audit")(audit)


def sample(
    context: typer.Context,
    definition: DefinitionArgument,
    size: Annotated[int, typer.Option(help="How many records.")] = 24,
    seed: Annotated[int, typer.Option(help="Another seed, another sample; the same seed, the same one.")] = 0,
    extremes: Annotated[str, typer.Option(help="Instead those with the least and the greatest values of this field.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Show some records of a definition: drawn evenly by a seed, or the extremes of a field.

    Example: fairlead cohort sample chest-ct.yaml --extremes series.slice_thickness_mm --size 5
    """
    from fairlead.cohort import AuditTrail, compile_definition, definition_sha256, narrowed

    opened = open_cohorts(context)
    parsed = opened.parse(definition)
    criterion = narrowed(compile_definition(parsed, opened.store.resolve), opened.store.consenting())
    AuditTrail(opened.store.engine).note(user_of_process(), "sample", definition=definition_sha256(parsed))
    if extremes:
        least, greatest = opened.index.extremes(criterion, extremes, size)
        document: JsonObject = {"least": _told(opened, least, extremes), "greatest": _told(opened, greatest, extremes)}
    else:
        document = {"seed": seed, "records": _told(opened, opened.index.sample(criterion, size, seed=seed))}
    emit(document, as_json=as_json, text=lambda: _lines(document))


def _told(opened: OpenedCohorts, records: Iterable[ImagingRecord], *more: str) -> list[JsonObject]:
    """Return the id and some values of each record, all of them pseudonymous as in the index."""
    fields = dict.fromkeys(("modality", "body_part", "study_date", "series.instances", *more))
    told: list[JsonObject] = []
    for record in records:
        values = opened.catalogue.values_of(record.model_dump(mode="json", exclude_none=True), record.core.project)
        told.append({"id": record.id} | {name: list(values[name]) for name in fields if name in values})
    return told


def _lines(document: JsonObject) -> str:
    lines = []
    for part, records in document.items():
        if isinstance(records, list):
            lines += [part, *("  ".join(f"{name} {_words(value)}" for name, value in one.items()) for one in records)]
    return "\n".join(lines)


def _words(value: object) -> str:
    from fairlead.cohort import in_one_line

    return in_one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def explain(
    context: typer.Context,
    definition: DefinitionArgument,
    record: Annotated[str, typer.Argument(metavar="SERIES", help="Series UID, or id as `cohort members` writes it.")],
    as_json: JsonFlag = False,
) -> None:
    """Say which criteria of a definition hold for one record, which do not, and which nobody can tell.

    Example: fairlead cohort explain chest-ct.yaml 1.2.826.0.1.3680043.8.498.1
    """
    from fairlead.cohort import AuditTrail, narrowed
    from fairlead.cohort import explain as explain_record
    from fairlead.index import MembersOf

    opened = open_cohorts(context)
    parsed, found = opened.parse(definition), []
    for record_id in _ids_of(record, opened):
        AuditTrail(opened.store.engine).note(user_of_process(), "explain", series=record_id)
        judged = explain_record(parsed, record_id, **opened.asked)
        withdrawn = not opened.index.count(narrowed(MembersOf(frozenset({record_id})), opened.store.consenting())).series
        found.append(_Explained(record_id, withdrawn, judged))
    emit([one.as_json() for one in found], as_json=as_json, text=lambda: "\n".join(line for one in found for line in one.lines()))


@dataclass(frozen=True, slots=True)
class _Explained:
    """One record, whether it was withdrawn, and how it stands to each step."""

    id: str
    withdrawn: bool
    judged: tuple[Judged, ...]

    @property
    def is_member(self) -> bool:
        """Whether every step holds and nobody withdrew."""
        return not self.withdrawn and all(step.holds for step in self.judged)

    def as_json(self) -> JsonObject:
        """Return the document of one record."""
        steps = [step.as_json() for step in self.judged]
        return {"id": self.id, "member": self.is_member, "withdrawn": self.withdrawn, "steps": steps}

    def lines(self) -> Iterator[str]:
        """Yield the lines of one record: what it is, then a line a criterion."""
        yield f"{self.id}  {'a member' if self.is_member else 'withdrawn' if self.withdrawn else 'no member'}"
        for step in self.judged:
            yield from step.lines()


def _ids_of(record: str, opened: OpenedCohorts) -> tuple[str, ...]:
    """Return the ids of a series at every centre, or the id itself."""
    from fairlead.cohort import import_series
    from fairlead.errors import NotFound

    if ":" in record:
        return (record,)
    found = import_series([record], opened.index).ids
    if not found:
        raise NotFound(
            "There is no such record in the index.", remedy="Give a series UID, or an id as `fairlead cohort members` writes it."
        )
    return found


def audit(
    context: typer.Context,
    last: Annotated[int, typer.Option(min=0, help="How many of the newest entries to show.")] = 20,
    holds: Annotated[str, typer.Option(help="A sha256 noted earlier; fails when the chain does not hold it any more.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Check the chain of who looked at members and who changed what, and show its newest entries.

    A changed or missing entry breaks the chain. Entries cut off its end do not: note the last sha256 elsewhere, and ask with --holds.

    Example: fairlead cohort audit --last 5
    """
    from fairlead.cohort import AuditTrail

    trail = AuditTrail(open_cohorts(context).store.engine)
    length, entries = trail.verify(holds=holds), trail.entries()
    shown = entries[-last:] if last else ()
    document = {"entries": length, "sha256": entries[-1].sha256 if entries else "", "last": [asdict(one) for one in shown]}
    lines = [f"{one.seq:>6}  {one.at:%Y-%m-%d %H:%M:%S}  {one.who:<12} {one.what:<14} {one.ref}" for one in shown]
    emit(document, as_json=as_json, text=lambda: "\n".join([*lines, f"{length} entries hold; the last is {document['sha256'] or '-'}"]))
