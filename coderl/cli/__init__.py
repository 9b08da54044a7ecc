"""The `coderl` command. Each command lives in a file of its own and imports what it needs when it runs."""

from __future__ import annotations

import logging
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

import coderl
from coderl.cli import data, grade, models, report, sandbox_commands, train

app = typer.Typer(
    name="coderl",
    help="Reinforcement learning on programs, with verdicts from an isolated sandbox as rewards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"coderl {coderl.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


train.register(app)
grade.register(app)
report.register(app)
app.add_typer(data.app, name="tasks")
app.add_typer(models.app, name="model")
app.add_typer(sandbox_commands.app, name="sandbox")


def main() -> None:
    """Run the command line; errors meant for the user become one line and an exit code."""
    _quiet()
    if hidden := _hidden_room():
        sys.exit(f"error: {hidden}")
    try:
        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        code = _user_error(error)
        if code is None:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(code)


def _quiet() -> None:
    """Libraries speak of errors only: not of Triton that is missing, NUMA, or the hub's retries. What is set stays."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)


def _user_error(error: Exception) -> int | None:
    """The exit code of an error meant for the user; None: a bug of ours, shown with its traceback."""
    from analysis.errors import AnalysisError
    from coderl.errors import CoderlError
    from sandbox.errors import SandboxError
    from tasks.errors import TaskError

    if isinstance(error, CoderlError):
        return error.exit_code
    return 2 if isinstance(error, (SandboxError, TaskError, AnalysisError)) else None


def _hidden_room() -> str | None:
    """What is wrong where another package of the same name is found before one of ours."""
    ours = Path(__file__).resolve().parents[2]
    for room in ("sandbox", "tasks", "analysis"):
        found = find_spec(room)
        place = Path(found.origin).resolve() if found and found.origin else None
        if place != ours / room / "__init__.py":
            return (
                f"`import {room}` finds {place or 'nothing'} before coderl's own {ours / room}; rename that, take its "
                "folder off PYTHONPATH, or install coderl in an environment of its own"
            )
    return None
