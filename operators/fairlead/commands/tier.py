"""``fairlead tier``: how much labour stands between a researcher and a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.commands.shared import JsonFlag, emit, settings_of


def show_tier(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="PATH|URL", help="A record or crate, or the address of a dataset's page.")],
    attest: Annotated[Path | None, typer.Option(help="YAML or JSON list of {criterion, result, date}; counts for 180 days.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Grade a dataset by its access-labour tier, A0 to A5. Example: fairlead tier https://fdp.example.org/dataset/1.

    From a path, criteria that need the server stay unknown, so the tier is A0; record_tier is the upper bound.
    """
    from fairlead.catalog.tier import evaluate, read_attestations

    settings_of(context)
    document = evaluate(target, attestations=read_attestations(attest) if attest else ())
    emit(document, as_json=as_json, text=lambda: _words(document))


def _words(document: dict[str, Any]) -> str:
    lines = [f"{item['result']:<8} {item['id']:<14} {item['evidence']}" for item in document["criteria"]]
    lines += [f"next     {item['do']} ({item['gains']})" for item in document["next"][:5]]
    head = f"{document['tier']} (record alone: at most {document['record_tier']}), {document['minutes']} minutes of labour"
    return "\n".join([*lines, f"{head}, {document['waiting_days']} days of waiting"])


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("tier")(show_tier)
