"""`coderl sandbox serve|run|doctor|bench|image`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="The sandbox: what works on this machine, its images, its daemon.", no_args_is_help=True
)

Backend = Annotated[str, typer.Option(help="auto, docker, bubblewrap, confined")]
Languages = Annotated[
    list[str] | None, typer.Option(help="a language besides Python that programs may be in (cpp); repeatable")
]
Requirements = Annotated[
    list[str] | None,
    typer.Option(help="a package that programs and tests may import, as pip names it; repeatable"),
]


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="address to listen at; empty: no TCP")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one")] = 8000,
    unix: Annotated[Path | None, typer.Option(help="unix socket to listen at")] = None,
    tokens: Annotated[Path | None, typer.Option(help="TOML file of tokens and quotas")] = None,
    slots: Annotated[int, typer.Option(min=1, help="programs that run at once, for each image")] = 2,
    backend: Backend = "auto",
    image: Annotated[
        list[str] | None,
        typer.Option(help="digest of one more image that jobs may name; repeatable (docker)"),
    ] = None,
    language: Languages = None,
    requirement: Requirements = None,
    queue: Annotated[int, typer.Option(min=1, help="programs that may wait or run")] = 4096,
    cache_mib: Annotated[
        int, typer.Option(min=0, help="memory for answers to questions that are asked again")
    ] = 0,
    drain_seconds: Annotated[int, typer.Option(min=0, help="after SIGTERM, for what runs")] = 60,
) -> None:
    """Run programs and grade completions over HTTP (docs/serving.md)."""
    from sandbox.daemon.routes import Settings
    from sandbox.daemon.server import Place
    from sandbox.daemon.server import serve as serve_forever
    from tasks.commands import service

    serve_forever(
        place=Place(host=host or None, port=port, unix=unix),
        slots=slots,
        backend=backend,
        images=image or [],
        languages=language or [],
        requirements=requirement or [],
        settings=Settings(queue=queue, cache_bytes=cache_mib << 20),
        tokens=tokens,
        routers=[service.make_router],
        drain_seconds=drain_seconds,
        ready=typer.echo,
    )


@app.command()
def run(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="a program: Python, or C++ by its suffix")
    ],
    backend: Backend = "auto",
    cpu_seconds: Annotated[float, typer.Option(min=0.01)] = 10.0,
    wall_seconds: Annotated[float, typer.Option(min=0.01)] = 60.0,
    memory_mib: Annotated[int, typer.Option(min=32)] = 512,
) -> None:
    """Run a file as `python FILE` would, or compiled, sandboxed: its standard input is ours, unless that is a terminal.

    Exit status: 0, 1 where the program failed, 124 where it ran out of time, 125 for a fault of the sandbox.
    """
    from coderl.cli.limits import limits
    from sandbox.tools.run_file import run_file

    allowed = limits(cpu_seconds=cpu_seconds, wall_seconds=wall_seconds, memory_mib=memory_mib)
    raise typer.Exit(run_file(file, backend, replace(allowed, total_cpu_seconds=cpu_seconds)))


@app.command()
def doctor() -> None:
    """Check what running programs needs: engine, cgroups, images, clock, disk, and that limits hold."""
    from sandbox.tools.doctor import examine

    works = False
    for check in examine(typer.echo):
        typer.echo(f"{'ok  ' if check.good else 'NO  '} {check.name}: {check.found}")
        if not check.good:
            typer.echo(f"     remedy: {check.remedy}")
        works = check.good  # of the last one: whether any backend works
    raise typer.Exit(0 if works else 1)


@app.command()
def bench(
    backend: Backend = "auto",
    slots: Annotated[int, typer.Option(min=1)] = 2,
    programs: Annotated[int, typer.Option(min=10, help="of each kind")] = 200,
) -> None:
    """Measure this machine: cold start, and programs a second beside a plain `python -I`. Ends with a JSON line."""
    from sandbox.tools.bench import measure

    measure(backend, slots, programs)


@app.command()
def image(
    requirement: Requirements = None,
    language: Languages = None,
) -> None:
    """Build the docker backend's images where they are missing; with --requirement or --language, more of them."""
    from sandbox.backends.engine import connected
    from sandbox.image import compilers, extra

    if requirement and language:
        raise typer.BadParameter("give either --requirement or --language")

    with connected() as client:
        if language:
            typer.echo(compilers.ensure(client, language, typer.echo))
        else:
            for role, name in extra.ensure(client, requirement or [], typer.echo).items():
                typer.echo(f"{role}: {name}")
