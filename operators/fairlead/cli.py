"""The ``fairlead`` command. Exit status: 0 done, 1 bad input or a failed check, 2 wrong usage, 3 a service is not reachable."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fairlead import __version__
from fairlead.errors import FairleadError

COMMAND_MODULES: Final = (
    "demo",
    "node",
    "ingest",
    "extract",
    "index",
    "cohort",
    "deidentify",
    "convert",
    "publish",
    "mirror",
    "catalog",
    "harvest",
    "gateway",
    "federate",
    "tier",
    "admin",
    "backup",
)
"""Modules of ``fairlead.commands``; each has ``register(app)``."""

EPILOG: Final = (
    "Every command honours --config FILE and FAIRLEAD_* variables. Results go to stdout, talk to stderr. "
    "Exit status: 0 done, 1 bad input or a failed check, 2 wrong usage, 3 a service is not reachable."
)
HOISTED_WITH_VALUE: Final = frozenset({"--config"})
HOISTED_FLAGS: Final = frozenset({"--debug"})
UsageError: Final[Any] = typer.BadParameter.__mro__[1]
"""The parent of every wrong-usage error; typer bundles its own click and does not export the name."""
INTERRUPTED: Final = 130
WRONG_USAGE: Final = 2


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fairlead {__version__}")
        raise typer.Exit


def build_app() -> typer.Typer:
    """Return the whole command tree; command modules import their rooms only when a command runs."""
    app = typer.Typer(
        name="fairlead",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog=EPILOG,
    )

    @app.callback()
    def root(
        context: typer.Context,
        config: Annotated[Path | None, typer.Option(help="Settings file (default configs/fairlead.yaml, then $FAIRLEAD_CONFIG).")] = None,
        debug: Annotated[bool, typer.Option(help="Show tracebacks and debug log lines.")] = False,
        version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    ) -> None:
        """Lead imaging data from the scanner and the microscope to a cohort that anyone can find.

        Example: fairlead demo --keep
        """
        context.obj = {"config": config, "debug": debug}

    for name in COMMAND_MODULES:
        import_module(f"fairlead.commands.{name}").register(app)
    return app


def hoist(arguments: list[str]) -> list[str]:
    """Move ``--config FILE`` and ``--debug`` to the front, so that they may stand anywhere on the line.

    >>> hoist(["node", "status", "--config", "x.yaml"])
    ['--config', 'x.yaml', 'node', 'status']
    """
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument in HOISTED_WITH_VALUE:
            front += [argument, *([value] if (value := next(waiting, None)) is not None else [])]
        elif argument in HOISTED_FLAGS or argument.split("=", 1)[0] in HOISTED_WITH_VALUE:
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status; a traceback is shown only with ``--debug``."""
    line = hoist(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(line))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    debug = "--debug" in arguments
    try:
        outcome = build_app()(args=arguments, standalone_mode=False, prog_name="fairlead")
    except FairleadError as error:
        if debug:
            raise
        typer.echo(f"error [{error.code}] {error.message}\n  → {error.remedy}", err=True)
        return error.exit_status
    except typer.Exit as error:
        return _ended(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _ended(INTERRUPTED)
    except BrokenPipeError:
        return 1
    except Exception as error:
        if isinstance(error, UsageError):
            error.show()
            return WRONG_USAGE
        if debug:
            raise
        typer.echo(
            f"error [internal] {type(error).__name__}: this is a defect of Fairlead. Run again with --debug and report it.", err=True
        )
        return 1
    finally:
        if (database := sys.modules.get("fairlead.database")) is not None:
            database.close_engines()
    return _ended(outcome if isinstance(outcome, int) else 0)


def _ended(status: int) -> int:
    if status == INTERRUPTED:
        typer.echo("stopped", err=True)
    return status


if __name__ == "__main__":
    main()
