"""`coderl grade`: anyone's completions, graded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(grade)


def grade(
    tasks: Annotated[str, typer.Option(help="NAME, NAME=FILE or FILE.jsonl (see `coderl tasks list`)")],
    completions: Annotated[
        str,
        typer.Option(
            help="JSON lines, a JSON array or Parquet of task_id (or prompt) and completion, solution, samples or "
            "messages; bigcode's generations; a folder of evalplus's; .gz; - for standard input; or `reference`"
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="verdict rows, JSONL (default: COMPLETIONS-verdicts.jsonl)")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace an --out that is there")] = False,
    sandbox: Annotated[
        list[str] | None,
        typer.Option(
            help="a daemon that runs the programs (http://HOST:PORT, unix:///PATH; its token in CODERL_TOKEN); "
            "repeatable; default: they run here"
        ),
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, docker, bubblewrap, confined")] = "auto",
    slots: Annotated[int, typer.Option(min=1, help="programs that run at once")] = 2,
    requirement: Annotated[
        list[str] | None,
        typer.Option(help="a package that programs and tests may import, as pip names it; repeatable"),
    ] = None,
    image: Annotated[str, typer.Option(help="id of the docker image that programs run in")] = "",
    cpu_seconds: Annotated[
        float | None, typer.Option(min=0.01, help="CPU time of a test; a task's own wins")
    ] = None,
    total_cpu_seconds: Annotated[
        float | None, typer.Option(min=0.01, help="CPU time of all tests of a program together")
    ] = None,
    in_process: Annotated[
        str,
        typer.Option(
            help="tests that cannot be run apart from the program: never (their tasks are left out), or needed (both "
            "run in one process, where a program can forge its verdict, which says so)"
        ),
    ] = "never",
    mutants: Annotated[
        bool, typer.Option("--mutants", help="also grade one mutant of each reference")
    ] = False,
    audit: Annotated[
        list[str] | None,
        typer.Option(
            help="a file that `coderl tasks audit --out` wrote: rows of its tasks get weak_tests, programs that solve "
            "nothing and pass; repeatable"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print the summary as one JSON object")] = False,
) -> None:
    """Run every completion in the sandbox against its task's tests and write the verdicts."""
    from coderl.cli.limits import limits
    from tasks.commands import grade

    if in_process not in ("never", "needed"):
        raise typer.BadParameter(f"{in_process!r} is neither never nor needed", param_hint="--in-process")
    if image and requirement:
        raise typer.BadParameter("give either --image or --requirement")
    code = grade.main(
        tasks,
        completions,
        None if out is None else str(out),
        overwrite=overwrite,
        urls=sandbox or [],
        backend=backend,
        slots=slots,
        requirements=requirement or [],
        image=image,
        limits=limits(cpu_seconds=cpu_seconds, total_cpu_seconds=total_cpu_seconds),
        in_process="needed" if in_process == "needed" else "never",
        mutants=mutants,
        audits=audit or [],
        as_json=json,
    )
    raise typer.Exit(code)
