"""``fairlead harvest``: other catalogues into this one's view."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.commands.shared import JsonFlag, complain, emit, settings_of


def harvest_catalogs(
    context: typer.Context,
    urls: Annotated[list[str], typer.Argument(metavar="URL…", help="FAIR Data Points, DCAT catalogues or RO-Crates, by http or https.")],
    as_json: JsonFlag = False,
) -> None:
    """Harvest other catalogues; safe to repeat. Example: fairlead harvest https://fdp.example.org.

    Only what another side itself answers with 404 or 410 is deleted. Exit status 1 when a source or a record failed.
    """
    from fairlead.catalog import harvest

    report = harvest(settings_of(context), urls)
    for problem in report.errors:
        complain(f"{problem.source}: {problem.reason}")
    document = report.model_dump(exclude={"errors"}) | {
        "errors": [{"url": item.source, "reason": item.reason, "code": item.code} for item in report.errors]
    }
    words = (
        f"{report.seen} seen, {report.stored} stored, {report.unchanged} unchanged, {report.deleted} deleted, {len(report.errors)} errors"
    )
    emit(document, as_json=as_json, text=lambda: words)
    if report.errors:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("harvest")(harvest_catalogs)
