"""`coderl report`, `coderl compare`, `coderl dynamics`: what a run left behind, and the simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(report)
    app.command()(compare)


def report(
    run: Annotated[Path, typer.Argument(help="run folder, or JSONL of verdicts from `coderl grade`")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file (default: report.html in the run folder)")
    ] = None,
) -> None:
    """Write a run's report: one HTML file that opens offline, with Markdown and JSON beside it."""
    from analysis import report as room

    typer.echo(f"report: {room.write(run, out)}")


def compare(
    base: Annotated[Path, typer.Argument(help="run folder to compare against")],
    candidates: Annotated[list[Path], typer.Argument(help="run folders")],
    out: Annotated[Path, typer.Option(help="HTML file")] = Path("compare.html"),
) -> None:
    """Compare runs: fixed, introduced and persistent failures, measures with intervals."""
    from analysis import compare as room

    typer.echo(f"report: {room.write(base, candidates, out)}")
