"""Compares a baseline run with one or more candidates, on the tasks that they share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.errors import RunError
from analysis.measures.cohorts import Column, last_column, load
from analysis.page.page import build
from analysis.report import require_page, save
from analysis.report.curves import comparison_charts


def write(base: Path, candidates: Sequence[Path], out: Path) -> Path:
    """Compare the last evaluations of run folders (or verdict files); returns the HTML file's path.

    `out` is that path; the `.json` and `.md` lie beside it. Raises `RunError` where a run cannot be
    read, holds no evaluated completions, or shares no task with the baseline, or the page cannot be written.
    """
    require_page(out)
    sources = [load(path) for path in (base, *candidates)]
    if len({source.run.name for source in sources}) < len(sources):
        for source in sources:
            source.run.name = str(source.run.path)
    columns: list[Column] = []
    for path, source in zip((base, *candidates), sources, strict=True):
        column = last_column(source)
        if column is None:
            raise RunError(
                f"{path}: holds no evaluated completions to compare. Run `coderl eval` on it first."
            )
        if columns and not columns[0].group.tasks.keys() & column.group.tasks.keys():
            raise RunError(f"{path}: shares no task with {base}. Compare runs evaluated on the same tasks.")
        columns.append(column)
    page = build(" against ".join(column.label for column in columns), sources, columns)
    return save(page, comparison_charts(sources, columns), out)
