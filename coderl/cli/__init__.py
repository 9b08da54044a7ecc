"""The `coderl` command. Each command lives in a file of its own and imports what it needs when it runs."""

from __future__ import annotations

import os
import sys

import typer

from coderl.cli import data, grade, models, report, sandbox_commands, train

app = typer.Typer(
    name="coderl",
    help="Reinforcement learning on programs, with verdicts from an isolated sandbox as rewards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train.register(app)
grade.register(app)
report.register(app)
app.add_typer(data.app, name="tasks")
app.add_typer(models.app, name="model")
app.add_typer(sandbox_commands.app, name="sandbox")


def main() -> None:
    """Run the command line; errors meant for the user become one line and an exit code."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
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


def _user_error(error: Exception) -> int | None:
    """The exit code of an error meant for the user; None: a bug of ours, shown with its traceback."""
    from analysis.errors import AnalysisError
    from coderl.errors import CoderlError
    from sandbox.errors import SandboxError
    from tasks.errors import TaskError

    if isinstance(error, CoderlError):
        return error.exit_code
    return 2 if isinstance(error, (SandboxError, TaskError, AnalysisError)) else None
