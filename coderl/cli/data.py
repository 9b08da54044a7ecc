"""`coderl tasks list|show|new|validate|audit`."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tasks.types import Task

app = typer.Typer(
    help="Problems: list the known datasets, show one task, begin a file of one's own, validate references against "
    "mutants, audit tests.",
    no_args_is_help=True,
)

Spec = Annotated[str, typer.Argument(help="NAME, NAME=FILE, FILE.jsonl or builtin:LEVEL")]


@app.command("list")
def list_datasets() -> None:
    """The datasets that `--tasks` and data.train know by name."""
    from tasks.commands.output import table
    from tasks.datasets import describe

    rows = [[entry.name, entry.tests, entry.hub or "-", entry.summary] for entry in describe()]
    typer.echo(table(["name", "tests", "hub name", "what it is"], rows))


@app.command()
def show(
    spec: Spec,
    task_id: Annotated[str | None, typer.Argument(help="default: the first")] = None,
    model: Annotated[
        str | None, typer.Option(help="print what this model is sent for it, text and tokens, in its place")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="with --model: model.prompt_style=..., model.system_prompt=...")
    ] = None,
) -> None:
    """Print one task: prompt, tests, reference."""
    from tasks.datasets import load
    from tasks.errors import TaskError
    from tasks.native import to_row

    found = load(spec)
    task = next((t for t in found if task_id is None or t.id == task_id), None)
    if task is None:
        raise TaskError(f"{spec} has no task {task_id!r}; its ids look like {found[0].id!r}")
    if model is not None:
        _sent(task, model, overrides or [])
        return
    text = jsonlib.dumps(to_row(task), indent=2, ensure_ascii=False)
    typer.echo(text.encode("utf-8", "backslashreplace").decode())  # lone surrogates: as JSON escapes them


def _sent(task: Task, model: str, overrides: list[str]) -> None:
    from coderl.config.load import load
    from coderl.model.named import model_folder
    from coderl.model.policy import load_tokenizer
    from coderl.model.prompts import prompt_of

    prompt = prompt_of(task, load_tokenizer(model_folder(model)), load(None, overrides).model)
    typer.echo(prompt.text)
    typer.echo(f"--- {len(prompt.tokens)} tokens: {' '.join(map(str, prompt.tokens))}")


@app.command()
def new(path: Annotated[Path, typer.Argument(help="file to write, such as mine.jsonl")]) -> None:
    """Write a file with one problem for each kind of test, to begin one's own with (docs/native-format.md)."""
    from importlib.resources import files

    from tasks.errors import TaskError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write((files("tasks") / "examples.jsonl").read_text("utf-8"))
    except FileExistsError:
        raise TaskError(f"{path} exists already; name another file") from None
    except OSError as error:
        raise TaskError(f"{path} cannot be written ({error.strerror}); name another file") from error
    typer.echo(f"{path}: change it, then coderl tasks validate {path}")


@app.command()
def validate(
    spec: Spec,
    backend: Annotated[str, typer.Option(help="auto, docker, bubblewrap, confined")] = "auto",
    slots: Annotated[int, typer.Option(min=1)] = 2,
    limit: Annotated[int | None, typer.Option(help="only the first tasks")] = None,
    mutants: Annotated[int, typer.Option(min=1, help="mutants a reference")] = 4,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """References must pass; at least 95% of mutated references must fail; survivors are listed."""
    import sandbox
    from tasks.datasets import load
    from tasks.errors import TaskError
    from tasks.grading.grader import Grader
    from tasks.validation.validate import validate as check

    found = load(spec, limit=limit, strict=True)
    if all(task.reference is None for task in found):
        raise TaskError(f"{spec}: no task has a reference, so there is nothing to validate; add references")
    with sandbox.open_pool(slots=slots, backend=backend) as pool:
        result = check(found, Grader(pool), mutants=mutants, seed=seed)
    typer.echo(str(result))
    typer.echo(result.next_step(spec))
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def audit(
    spec: Spec,
    split: Annotated[
        str | None, typer.Option(help="train, held-out or a split's name (default: all)")
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, docker, bubblewrap, confined")] = "auto",
    slots: Annotated[int, typer.Option(min=1)] = 2,
    limit: Annotated[int | None, typer.Option(help="only the first tasks")] = None,
    mutants: Annotated[int, typer.Option(min=0, help="mutants a reference; 0: trivial programs only")] = 4,
    seed: Annotated[int, typer.Option()] = 0,
    in_process: Annotated[str, typer.Option(help="never or needed, as in `coderl grade`")] = "never",
    out: Annotated[
        Path | None, typer.Option(help="a row a task, JSONL: for data.audit and grade --audit")
    ] = None,
    write: Annotated[Path | None, typer.Option(help="the tasks without weak tests, native JSONL")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace --out and --write where they are there")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="print what was found as one JSON object")] = False,
) -> None:
    """Do programs that solve nothing pass? Lists the tasks whose tests are too weak, and those programs."""
    from tasks.commands import audit

    if in_process not in ("never", "needed"):
        raise typer.BadParameter(f"{in_process!r} is neither never nor needed", param_hint="--in-process")
    code = audit.main(
        spec,
        split=split,
        limit=limit,
        backend=backend,
        slots=slots,
        mutants=mutants,
        seed=seed,
        in_process="needed" if in_process == "needed" else "never",
        out=out,
        write=write,
        overwrite=overwrite,
        as_json=json,
    )
    raise typer.Exit(code)
