"""Reports on a run: one HTML file that opens offline, the same as JSON, and a summary in Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.errors import RunError
from analysis.measures.cohorts import load, own_columns
from analysis.page.page import build
from analysis.report.curves import run_charts
from analysis.report.html import render
from analysis.report.markdown import summary
from tasks.files import write_text


def write(run: Path, out: Path | None = None) -> Path:
    """Report on a run folder or a JSONL file of verdicts; returns the path of the HTML file.

    `out` is that path (default: `report.html` in the run folder, or beside the verdict file); the
    `.json` and `.md` lie beside it. Raises `analysis.errors.RunError` where nothing can be read, or written.
    """
    if out is None:
        out = run / "report.html" if run.is_dir() else run.with_name(f"{run.name.split('.')[0]}.report.html")
    require_page(out)
    source = load(run)
    columns = own_columns(source)
    page = build(f"{'Run' if source.run.is_folder else 'Verdicts'} {source.run.name}", [source], columns)
    return save(page, run_charts(source, columns), out)


def require_page(out: Path) -> None:
    """Raises `RunError` where `out` cannot be the page, since its JSON and Markdown lie beside it."""
    if out.suffix != ".html":
        raise RunError(f"--out {out}: does not end in .html. Name the page; a .json and a .md go beside it.")
    if out.is_dir():
        raise RunError(f"--out {out}: is a folder. Name a file in it.")


def save(page: dict[str, Any], charts: Sequence[str], out: Path) -> Path:
    """Write `page` as HTML with its charts, JSON and Markdown, each atomically."""
    _write(out, render(page, charts))
    _write(out.with_suffix(".json"), json.dumps(page))
    _write(out.with_suffix(".md"), summary(page))
    return out


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}: {error.filename}). Name another place with --out."
        ) from error
