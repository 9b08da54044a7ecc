"""Problems by name: the datasets that coderl reads, from the hub or from a local file in their shape.

load("humaneval")                      from the hub, by the `datasets` package
load("humaneval=HumanEval.jsonl.gz")   from a local file in that dataset's shape
load("problems.jsonl")                 from a file in the native format (docs/native-format.md)
load("builtin:lists")                  from the built-in generator
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks import builtin, native
from tasks.builtin.levels import MIXTURES
from tasks.datasets.hub import hub_rows
from tasks.datasets.registry import DATASETS, Dataset
from tasks.datasets.several import marking, single
from tasks.errors import TaskError
from tasks.rows import Row, collect, read_rows
from tasks.types import Task

__all__ = ["DATASETS", "Description", "Several", "describe", "load"]

Several = Literal["keep", "leave out"]

ROLES = ("train", "held-out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A line of `coderl tasks list`. `hub`: the repository, empty where there is none."""

    name: str
    tests: str
    hub: str
    ids: str
    summary: str


def load(
    name_or_spec: str,
    *,
    split: str | None = None,
    limit: int | None = None,
    several: Several = "keep",
    strict: bool = False,
) -> list[Task]:
    """The problems of `NAME`, `NAME=FILE`, `FILE.jsonl` (native format) or `builtin:LEVEL`.

    `split` is a part's own name or a role, `train` or `held-out`. A hub dataset without a part for a role
    gives the part it has; so does a local file, which has no parts (MBPP's do: its task ids tell them).
    None: all of a local file; a hub dataset's part for training, if any. `limit` stops after so many.

    Rows that give no problem (no tests, another language) or cannot be read are left out, and their number and
    why is printed to standard error; so are, with `several="leave out"`, the tasks of named data sets of which
    several answers are right and only one is known (tasks/datasets/several.py). With `strict` a row of a native file
    that cannot be read is an error. Raises `TaskError`.
    """
    name, equals, file = name_or_spec.partition("=")
    if name in DATASETS and equals and not file:
        raise TaskError(f"{name_or_spec}: names no file. Give {name}=FILE, or {name} for the hub's rows.")
    if name_or_spec.startswith("builtin:"):
        return _builtin(name_or_spec, split, limit)
    if name in DATASETS:
        dataset = DATASETS[name]
        rows: Iterator[Row | TaskError] = (
            _local_rows(dataset, Path(file), split) if equals else hub_rows(name, dataset.hub, split)
        )
        parse = marking(dataset.parse)
        return collect(name, rows, single(parse) if several == "leave out" else parse, limit)
    path = Path(name_or_spec)
    is_dataset = bool(equals) and name.isidentifier()  # that nobody knows
    if path.is_file() or (path.suffix in (".jsonl", ".json", ".gz") and not is_dataset):
        _refuse_split(name_or_spec, split)
        return native.load(path, limit=limit, strict=strict)
    close = difflib.get_close_matches(name, DATASETS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise TaskError(
        f"unknown dataset {name!r}. {hint}Known: {', '.join(DATASETS)}, builtin:LEVEL; NAME=FILE; FILE.jsonl."
    )


def describe() -> list[Description]:
    """What `load` knows by name."""
    generated = Description(
        name="builtin:LEVEL",
        tests="calls",
        hub="",
        ids="builtin/LEVEL/HASH",
        summary=f"generated tasks; LEVEL: {', '.join(MIXTURES)}",
    )
    named = [
        Description(name=d.name, tests=d.tests, hub=d.hub.repo, ids=d.ids, summary=d.summary)
        for d in DATASETS.values()
    ]
    return [generated, *named]


def _builtin(spec: str, split: str | None, limit: int | None) -> list[Task]:
    wanted: dict[str, Any] = {"split": split, "count": limit}
    try:
        return builtin.load(spec, **{name: value for name, value in wanted.items() if value is not None})
    except ValueError as error:
        raise TaskError(str(error)) from None


def _local_rows(dataset: Dataset, path: Path, split: str | None) -> Iterator[Row | TaskError]:
    rows = read_rows(path, dataset.name)
    if dataset.split_of is None or split is None:
        _refuse_split(f"{dataset.name}={path}", split)
        return rows
    wanted, split_of = dataset.hub.split(split), dataset.split_of
    return (row for row in rows if isinstance(row, TaskError) or split_of(row) == wanted)


def _refuse_split(spec: str, split: str | None) -> None:
    if split is not None and split not in ROLES:
        raise TaskError(f"{spec}: a local file has no split {split!r}. Give the file of that split.")
