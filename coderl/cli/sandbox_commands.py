"""`coderl sandbox doctor|image`."""

from __future__ import annotations

import typer

app = typer.Typer(help="The sandbox: what works on this machine, and its images.", no_args_is_help=True)


@app.command()
def doctor() -> None:
    """Probe every backend by running a program in it; each failure names its remedy."""
    from sandbox.probe import probe_all

    working = False
    for result in probe_all():
        working |= result.ok
        typer.echo(f"{'ok     ' if result.ok else 'missing'}  {result.backend}: {result.detail}")
        if not result.ok:
            typer.echo(f"         remedy: {result.remedy}")
    raise typer.Exit(0 if working else 1)


@app.command()
def image() -> None:
    """Build the sandbox images (idempotent)."""
    from sandbox.image import ensure

    for name in ensure():
        typer.echo(name)
