"""``fairlead federate``: ask other centres, and keep the list of those that are asked."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.commands.cohort_shared import DefinitionArgument
from fairlead.commands.shared import JsonFlag, complain, emit, settings_of, show_key

if TYPE_CHECKING:
    from fairlead.federation import Center, CenterAnswer, Hub

ProjectOption = Annotated[str, typer.Option(help="Project that the centres approved (default: federation.project).")]
PurposeOption = Annotated[str, typer.Option(help="Purpose that the centres approved (default: federation.purpose).")]
WaitOption = Annotated[float | None, typer.Option(min=0.1, help="Seconds to wait (default: federation.wait_s).")]

federate = typer.Typer(no_args_is_help=True)


def _hub(context: typer.Context) -> Hub:
    from fairlead.database import open_database
    from fairlead.federation import Hub

    settings = settings_of(context)
    return Hub.open(settings, open_database(settings))


@federate.command("identity")
def hub_identity(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Print the public key that signs this hub's questions, for the governance files of centres.

    Example: fairlead federate identity
    """
    from fairlead.federation.signing import HUB_KEY

    show_key(settings_of(context), HUB_KEY, as_json=as_json)


@federate.command("count")
def count_everywhere(
    context: typer.Context,
    definition: DefinitionArgument,
    project: ProjectOption = "",
    purpose: PurposeOption = "",
    facets: Annotated[str, typer.Option(help="Fields to tabulate, separated by commas.")] = "",
    wait: WaitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask all accepted centres how many patients they have; each answers under its own policy.

    Example: fairlead federate count chest-ct.yaml --project lung --purpose feasibility
    """
    from fairlead.cohort import read_definition
    from fairlead.federation import summed

    hub, document = _hub(context), read_definition(definition)
    asking = hub.asking(project=project, purpose=purpose, person=_person(), wait_s=wait)
    names = [name.strip() for name in facets.split(",") if name.strip()]

    coming = hub.ask(document, asking=asking, path="/v1/facets" if names else "/v1/count", fields=names)
    answers = sorted(_answers(coming), key=lambda one: one.center)
    total: dict[str, Any] = summed(answers)
    result = {"centers": [one.as_json() for one in answers], "sum": total}
    words = (
        f"{total['patients']} ± {total['plus_minus']} patients in {len(total['of'])} of {len(answers)} centres; may count patients twice"
    )
    emit(result, as_json=as_json, text=lambda: words)


@federate.command("freeze")
def freeze_everywhere(
    context: typer.Context,
    definition: DefinitionArgument,
    project: ProjectOption = "",
    purpose: PurposeOption = "",
    wait: WaitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Have each centre freeze its own part of a cohort; we keep the definition and what names the parts.

    Example: fairlead federate freeze chest-ct.yaml --project lung --purpose feasibility
    """
    from fairlead.cohort import read_definition
    from fairlead.federation.freezing import FREEZE, keep_cohort

    hub, document = _hub(context), read_definition(definition)
    asking = hub.asking(project=project, purpose=purpose, person=_person(), wait_s=wait)

    answers = _answers(hub.ask(document, asking=asking, path=FREEZE))
    kept = keep_cohort(hub.engine, document, answers)
    without = sorted(one.center for one in answers if not one.answer.get("frozen"))
    parts = ", ".join(str(part["center"]) for part in kept["parts"])
    text = f"{kept['id']}@{kept['version']} with the parts of {parts}" + (f"; without {', '.join(without)}" if without else "")
    emit(kept | {"without": without}, as_json=as_json, text=lambda: text)


@federate.command("cohorts")
def list_across(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the cohorts across centres that were frozen, with the centres of their parts.

    Example: fairlead federate cohorts
    """
    from fairlead.federation.freezing import list_cohorts

    found = list_cohorts(_hub(context).engine)
    lines = [f"{one['id']}@{one['version']}  {one['title']}  {', '.join(part['center'] for part in one['parts'])}" for one in found]
    emit({"cohorts": found}, as_json=as_json, text=lambda: "\n".join(lines) or "nothing was frozen across centres yet")


def _answers(coming: AsyncIterator[CenterAnswer]) -> list[CenterAnswer]:
    """Return every answer, and print each as it comes."""
    import asyncio

    async def collect() -> list[CenterAnswer]:
        """Wait for one answer after the other."""
        found = []
        async for answer in coming:
            complain(_line(answer))
            found.append(answer)
        return found

    return asyncio.run(collect())


def _line(answer: CenterAnswer) -> str:
    number = f"{answer.patients} ± {answer.plus_minus}" if answer.patients is not None else f"below {answer.below}" if answer.below else ""
    return f"{answer.center:<20} {answer.state:<10} {answer.seconds:6.2f} s  {number}{answer.message}"


def _person() -> str:
    """Return the hub's opaque name of who asks; centres need it for budgets and must not learn a login name."""
    import hashlib

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may run a user without a name
        user = "unknown"
    return "u-" + hashlib.sha256(user.encode()).hexdigest()[:16]


@federate.command("mailbox")
def keep_mailbox(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8091,
) -> None:
    """Keep questions for centres that allow no inbound connection, until SIGTERM.

    Example: fairlead federate mailbox --port 8091
    """
    from fairlead.federation.mailbox import Mailbox
    from fairlead.federation.mailroom import create_mailroom
    from fairlead.federation.serving import run_app

    hub = _hub(context)
    app = create_mailroom(Mailbox(hub.engine), hub.centers)
    run_app(app, host=host, port=port, ready=lambda address: typer.echo(f"listening {address}"))


@federate.command("centers")
def list_centers(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the centres that were found, with their fingerprints and whether they are asked.

    Example: fairlead federate centers
    """
    found = _hub(context).centers.list()
    rows = [_row(one) for one in found]
    lines = [_shown(row) for row in rows]
    emit({"centers": rows}, as_json=as_json, text=lambda: "\n".join(lines) or "no centre was found yet")


@federate.command("discover")
def discover_centers(
    context: typer.Context,
    urls: Annotated[list[str], typer.Argument(metavar="URL…", help="Catalogues (FAIR Data Points) or gateways.")],
    pull: Annotated[bool, typer.Option("--pull", help="The centre fetches its questions from our mailbox.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Find gateways through the data services of catalogues. Nobody is asked before `accept`.

    Example: fairlead federate discover https://fdp.example.org
    """
    from fairlead.federation.discovery import discover

    hub = _hub(context)
    found = [hub.centers.found(one) for url in urls for one in discover(url, private=hub.settings.federation.private, pull=pull)]
    rows = [_row(one) for one in found]
    lines = [_shown(row) for row in rows]
    emit({"centers": rows}, as_json=as_json, text=lambda: "\n".join(lines) or "no gateway was found there")


def _row(center: Center) -> dict[str, Any]:
    """Return a centre, and what a catalogue said of it since it was decided about."""
    row = {"center": center.name, "state": center.state, "address": center.address, "mode": center.mode, "fingerprint": center.fingerprint}
    if center.proposed is None:
        return row
    from fairlead.federation.signing import fingerprint

    told = {name: str(center.proposed[name]) for name in ("address", "source")}
    return row | {"proposed": told | {"fingerprint": fingerprint(str(center.proposed["public_key"]))}}


def _shown(row: dict[str, Any]) -> str:
    text = f"{row['center']:<20} {row['state']:<9} {row['address']}\n  {row['fingerprint']}"
    if "proposed" not in row:
        return text
    other = row["proposed"]
    return f"{text}\n  {other['source']} names another key or address, which is not used: {other['address']}\n  {other['fingerprint']}"


@federate.command("accept")
def accept_center(
    context: typer.Context,
    center: Annotated[str, typer.Argument(help="Centre.")],
    fingerprint: Annotated[str, typer.Option(help="Fingerprint that the centre's administrator read out to you.")],
    as_json: JsonFlag = False,
) -> None:
    """Accept a centre under a fingerprint that you got by another way than this network; then it is asked.

    Example: fairlead federate accept charite --fingerprint 6668-7aad-…
    """
    accepted = _hub(context).centers.accept(center, fingerprint, by=_person())
    emit({"center": accepted.name, "state": accepted.state}, as_json=as_json, text=lambda: f"{accepted.name} {accepted.state}")


@federate.command("refuse")
def refuse_center(context: typer.Context, center: Annotated[str, typer.Argument(help="Centre.")], as_json: JsonFlag = False) -> None:
    """Ask a centre no more.

    Example: fairlead federate refuse charite
    """
    refused = _hub(context).centers.refuse(center, by=_person())
    emit({"center": refused.name, "state": refused.state}, as_json=as_json, text=lambda: f"{refused.name} {refused.state}")


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(federate, name="federate", help="Ask other centres. Example: fairlead federate count chest-ct.yaml")
