"""`coderl report|watch|compare|dynamics|reproduce`: what runs leave behind, the simulation, the study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(report)
    app.command()(watch)
    app.command()(compare)
    app.command()(dynamics)
    app.command()(reproduce)


def report(
    run: Annotated[Path, typer.Argument(help="run folder, or JSONL of verdicts from `coderl grade`")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file (default: report.html in the run folder)")
    ] = None,
) -> None:
    """Write a run's report: one HTML file that opens offline, with Markdown and JSON beside it."""
    from analysis import report as room

    typer.echo(f"report: {room.write(run, out)}")


def watch(run: Annotated[Path, typer.Argument(help="folder of a run that goes on")]) -> None:
    """Show a run in this terminal while it goes on: steps, evaluations, events, its last programs. Ctrl-C ends it."""
    from rich.console import Console

    from analysis import watch as room

    room.watch(run, Console())


def compare(
    base: Annotated[Path, typer.Argument(help="run folder to compare against")],
    candidates: Annotated[list[Path], typer.Argument(help="run folders")],
    out: Annotated[Path, typer.Option(help="HTML file")] = Path("compare.html"),
) -> None:
    """Compare runs: fixed, introduced and persistent failures, measures with intervals."""
    from analysis import compare as room

    typer.echo(f"report: {room.write(base, candidates, out)}")


def dynamics(
    out: Annotated[Path, typer.Option(help="folder for dynamics.jsonl and dynamics.svg")] = Path("dynamics"),
    objective: Annotated[str, typer.Option(help="grpo, grpo_n, gspo, gspo_n, nsr, ...")] = "grpo",
    steps: Annotated[int, typer.Option(min=1)] = 700,
    group_size: Annotated[int, typer.Option(min=2, help="completions a prompt, G")] = 16,
    inner_steps: Annotated[
        int, typer.Option(min=1, help="updates on each batch; more than one is off-policy")
    ] = 1,
    binary: Annotated[
        bool, typer.Option("--binary", help="0/1 rewards: the popular action earns nothing")
    ] = False,
    kl_coef: Annotated[float, typer.Option(min=0)] = 0.0,
    seed: Annotated[int, typer.Option()] = 0,
    sweep: Annotated[
        str | None,
        typer.Option(help="vary one thing: group_size, clip, kl, rewards, objective; or all of them in turn"),
    ] = None,
) -> None:
    """Simulate the two stages: a softmax policy over a popular, a rare optimal and a wrong action."""
    from pydantic import ValidationError

    from coderl.dynamics import Options, run
    from coderl.dynamics import sweep as sweeps
    from coderl.errors import ConfigError

    settings = {
        "objective": {"name": objective, "kl_coef": kl_coef},
        "steps": steps,
        "group_size": group_size,
        "inner_steps": inner_steps,
        "seed": seed,
        **({"reward_popular": 0.0} if binary else {}),
    }
    names = list(sweeps.SWEEPS) if sweep == "all" else [sweep] if sweep else []
    if unknown := [name for name in names if name not in sweeps.SWEEPS]:
        raise ConfigError(f"--sweep {unknown[0]}: not a sweep; take one of {', '.join(sweeps.SWEEPS)} or all")
    try:
        if names:
            sweeps.run(settings, names, out, report=typer.echo)
            typer.echo(f"sweeps: {out}")
        else:
            typer.echo(f"simulation: {run(Options.model_validate(settings), out)}")
    except ValidationError as error:
        raise ConfigError("; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors())) from None


def reproduce(
    config: Annotated[Path, typer.Option("--config", "-c", help="TOML file of the study")] = Path(
        "configs/studies/paper.toml"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="the study's [quick] table: small, for a first look")
    ] = False,
    runs: Annotated[str | None, typer.Option(help="folder that holds the study's folder")] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="overrides, e.g. seeds=[0,1] base.train.steps=100")
    ] = None,
) -> None:
    """Train the paper's arms and controls from one warm model, evaluate them, and test its claims."""
    from coderl.study.config import load
    from coderl.study.run import reproduce as run

    typer.echo(f"report: {run(load(config, quick=quick, runs=runs, overrides=overrides or []))}")
