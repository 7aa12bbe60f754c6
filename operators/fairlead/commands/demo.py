"""``fairlead demo``."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.commands.shared import JsonFlag, complain, emit

if TYPE_CHECKING:
    from fairlead.demo import DemoResult

WorkdirOption = Annotated[Path, typer.Option(help="Folder of everything the demo makes.")]
DataOption = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="Your own DICOM and OME files instead of the packaged ones.")
]
KeepFlag = Annotated[bool, typer.Option("--keep", help="Keep the servers running after the last step, until Ctrl-C.")]
TimeoutOption = Annotated[float, typer.Option(min=1, help="Seconds that one wait may take.")]


def demo(
    keep: KeepFlag = False,
    workdir: WorkdirOption = Path(".fairlead/demo"),
    data: DataOption = None,
    timeout: TimeoutOption = 300.0,
    as_json: JsonFlag = False,
) -> None:
    """Run the whole way on real images: node, Airflow, cohort, approval, OME-Zarr, catalog.

    Starts its servers on free loopback ports and stops them all at the end. Ctrl-C stops everything at any moment.

    Example: fairlead demo --keep --workdir /tmp/fairlead-demo
    """
    from fairlead.demo import DemoOptions, DemoResult, StepFailed, run_demo
    from fairlead.logs import configure_logging
    from fairlead.progress import default_progress

    configure_logging("WARNING")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # a shell without job control starts background commands with Ctrl-C ignored

    def show(result: DemoResult) -> None:
        """Print what was done so far."""
        emit(result.document(), as_json=as_json, text=lambda: _text(result))
        sys.stdout.flush()

    def hold(result: DemoResult) -> None:
        """Print the result while the servers still run, and keep them running when asked to."""
        show(result)
        if keep or _wants_to_stay():
            complain("The servers run until Ctrl-C.")
            _wait_for_interrupt()

    result = DemoResult()
    try:
        run_demo(
            DemoOptions(workdir=workdir, data=data, timeout_s=timeout, keep=hold), tell=complain, progress=default_progress(), result=result
        )
    except StepFailed:
        if as_json:
            show(result)
        raise
    if not result.ok:
        failed = ", ".join(name for name, passed in result.dataset["checks"].items() if not passed)
        complain(f"failed checks: {failed}")
        raise typer.Exit(1)


def _interrupt(*_: Any) -> None:
    complain("stopping the servers …")
    raise KeyboardInterrupt


def _wants_to_stay() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and typer.confirm("Keep the servers running?", default=False, err=True)


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        return


def _text(result: DemoResult) -> str:
    lines = [
        "While the servers run (--keep):",
        f"catalog   {result.urls['catalog']}",
        f"cohorts   {result.urls['cohorts']}",
        f"airflow   {result.urls['airflow']}  (users and passwords: {result.urls['passwords']})",
        f"record    {result.dataset['iri']}",
        *(f"store     {store}" for store in result.dataset["stores"]),
        f"picture   {result.dataset['picture']}",
        *(f"{'✔' if passed else '✘'} {name}" for name, passed in result.dataset["checks"].items()),
    ]
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command()(demo)
