"""`coderl train`, `coderl warmup`, `coderl eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file of the run (default: built-in values)")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="overrides, e.g. learner.learning_rate=1e-4 train.steps=100")
]
MODEL = "transformers folder, GGUF file, short name (`coderl model list`) or hub id"
ModelOption = Annotated[str | None, typer.Option("--model", help=f"{MODEL} to train (model.path)")]


def register(app: typer.Typer) -> None:
    app.command()(train)
    app.command()(warmup)
    app.command("eval")(evaluate)


def train(
    overrides: Overrides = None,
    config: Config = None,
    model: ModelOption = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            help="training tasks: NAME, NAME=FILE, FILE.jsonl, builtin:LEVEL; given again: as many prompts of each"
        ),
    ] = None,
    evaluation: Annotated[
        str | None, typer.Option(help="evaluation tasks (default: those of --dataset)")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="run folder to continue from its last checkpoint, with its own configuration and overrides"
        ),
    ] = None,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes",
            help="with --resume: overrides may change what the run's earlier steps were made with; it is recorded",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="load everything, measure a step, print the configuration, train nothing"
        ),
    ] = False,
) -> None:
    """Train a policy: sample with vLLM, grade in the sandbox, learn, publish, repeat.

    Under torchrun (`torchrun --nproc-per-node 8 -m coderl train ...`) the learner is sharded: docs/multi-node.md.
    """
    from coderl.config.load import load
    from coderl.config.resuming import resumed

    if config is not None and resume is not None:
        raise typer.BadParameter("--resume has the run's own configuration: give overrides, not --config")
    if allow_changes and resume is None:
        raise typer.BadParameter("--allow-changes goes with --resume")
    extra = [*(overrides or []), *_choices(model, dataset, evaluation)]
    resolved = resumed(resume, extra, allow_changes=allow_changes) if resume else load(config, extra)
    from coderl.training import commands

    if dry_run:
        commands.run_dry(resolved, resume=resume is not None)
        return
    commands.run_training(resolved, resume=resume is not None)


def _choices(model: str | None, datasets: list[str] | None, evaluation: str | None) -> list[str]:
    """The options as overrides."""
    chosen = [] if model is None else [f'model.path="{model}"']
    if datasets:
        return chosen + _datasets(datasets, evaluation)
    return chosen if evaluation is None else [*chosen, f'data.evaluation="{evaluation}"']


def _datasets(names: list[str], evaluation: str | None) -> list[str]:
    """Overrides for training on these; where no evaluation is named, on the same tasks."""
    from coderl.errors import ConfigError

    if len(names) == 1:
        train = f'data.train="{names[0]}"'
    else:
        train = "data.train={" + ", ".join(f'"{name}" = 1' for name in names) + "}"
    if evaluation is not None:
        return [train, f'data.evaluation="{evaluation}"']
    if len(names) > 1:
        raise ConfigError("several --dataset: name the tasks to evaluate on with --evaluation")
    return [train, f'data.evaluation="{names[0]}"', "data.allow_overlap=true"]  # asked for: the same tasks


def warmup(
    out: Annotated[Path, typer.Option(help="folder for the trained model")],
    overrides: Overrides = None,
    config: Config = None,
    model: Annotated[
        str | None, typer.Option("--model", help=f"{MODEL} to train; none: the built-in one")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="tasks whose solutions are learned, as of `train`")
    ] = None,
    evaluation: Annotated[
        str | None,
        typer.Option(help="tasks to be evaluated on: what --dataset shares with them is left out"),
    ] = None,
    source: Annotated[
        Literal["references", "samples", "both"],
        typer.Option("--from", help="references, the model's own samples that pass, or both"),
    ] = "references",
    samples: Annotated[int, typer.Option(min=1, help="samples a task")] = 8,
) -> None:
    """Train a model on solutions, by supervision: the start of reinforcement learning.

    Without --model it is the small built-in one, from scratch, on imperfect demonstrations.
    """
    from coderl.config.load import load
    from coderl.training import commands

    if (model is None) != (not dataset):
        raise typer.BadParameter(
            "--model and --dataset go together: give both, or none for the built-in model"
        )
    resolved = load(config, [*(overrides or []), *_choices(model, dataset, evaluation)])
    commands.run_warmup(resolved, out, source, samples)


def evaluate(
    model: Annotated[str, typer.Option(help=MODEL)],
    tasks: Annotated[
        list[str],
        typer.Option(help="NAME, NAME=FILE, FILE.jsonl or builtin:LEVEL; given again: further data sets"),
    ],
    overrides: Overrides = None,
    config: Config = None,
    preset: Annotated[
        Literal["evalplus", "bigcode", "livecodebench"] | None,
        typer.Option(help="ask and decode as this harness does; overrides win (docs/evaluation.md)"),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="completions a task (default: the preset's, else 16; at temperature 0: 1)"),
    ] = None,
    k: Annotated[
        list[int] | None, typer.Option(min=1, help="print pass@k; repeatable (default: powers of two)")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="use only the first tasks")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder for completions, as Parquet and as evalplus's JSONL, and the figures"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace an evaluation that --out holds")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Sample n completions a task, grade them, print pass@k with 95% intervals."""
    from coderl.config.load import load
    from coderl.training.benchmark import Asked, run_evaluation

    asked = Asked(
        data_sets=tasks,
        preset=preset,
        samples=samples,
        ks=sorted(set(k or [])),
        limit=limit,
        out=out,
        overwrite=overwrite,
        as_json=json,
    )
    run_evaluation(lambda below: load(config, [*below, *(overrides or []), f'model.path="{model}"']), asked)
