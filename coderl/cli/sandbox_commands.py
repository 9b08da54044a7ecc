"""`coderl sandbox serve|run|doctor|bench|image`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="The sandbox: what works on this machine, its images, its daemon.", no_args_is_help=True
)

Backend = Annotated[str, typer.Option(help="auto, docker, bubblewrap")]


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
    queue: Annotated[int, typer.Option(min=1, help="programs that may wait or run")] = 4096,
    cache_mib: Annotated[
        int, typer.Option(min=0, help="memory for answers to questions that are asked again")
    ] = 0,
    drain_seconds: Annotated[int, typer.Option(min=0, help="after SIGTERM, for what runs")] = 60,
) -> None:
    """Run programs and grade completions over HTTP (docs/serving.md)."""
    from coderl import grading_service
    from sandbox.daemon.app import Settings
    from sandbox.daemon.server import Place
    from sandbox.daemon.server import serve as serve_forever

    serve_forever(
        place=Place(host=host or None, port=port, unix=unix),
        slots=slots,
        backend=backend,
        images=image or [],
        settings=Settings(queue=queue, cache_bytes=cache_mib << 20),
        tokens=tokens,
        routers=[grading_service.make_router],
        drain_seconds=drain_seconds,
        ready=typer.echo,
    )


@app.command()
def doctor() -> None:
    """Probe every backend by running a program in it; each failure names its remedy."""
    from sandbox.errors import NoBackendError
    from sandbox.probe import OPENERS, open_backend
    from sandbox.protocol import Limits

    working = []
    for name in OPENERS:
        try:
            open_backend(name, Limits(), typer.echo).close()
        except NoBackendError as error:
            typer.echo(f"no   {name}: {error.failures[name].problem}")
            typer.echo(f"     remedy: {error.failures[name].remedy or 'none known'}")
        else:
            working.append(name)
            typer.echo(f"yes  {name}: ran a program")
    typer.echo(f"auto chooses: {working[0]}" if working else "no backend works: nothing can be graded here")
    raise typer.Exit(0 if working else 1)


@app.command()
def image() -> None:
    """Build the docker backend's images where they are missing."""
    import docker

    from sandbox.image import ensure

    for role, name in ensure(docker.from_env(), typer.echo).items():
        typer.echo(f"{role}: {name}")
