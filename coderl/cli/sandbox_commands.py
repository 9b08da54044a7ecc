"""`coderl sandbox doctor|image`."""

from __future__ import annotations

import typer

app = typer.Typer(help="The sandbox: what works on this machine, and its images.", no_args_is_help=True)


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
