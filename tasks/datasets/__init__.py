"""Problems by name: the datasets that coderl reads, from the hub or from a local file in their shape.

load("humaneval")                      from the hub, by the `datasets` package
load("humaneval=HumanEval.jsonl.gz")   from a local file in that dataset's shape
load("problems.jsonl")                 from a file in the native format (tasks/README.md)
load("builtin:...")                    from the built-in generator
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tasks import native
from tasks.datasets.apps import apps, taco
from tasks.datasets.code_contests import code_contests
from tasks.datasets.deepcoder import deepcoder
from tasks.datasets.evalplus import humanevalplus, mbppplus
from tasks.datasets.hub import Hub, hub_rows
from tasks.datasets.humaneval import humaneval, humanevalpack
from tasks.datasets.livecodebench import livecodebench
from tasks.datasets.mbpp import mbpp, mbpp_split
from tasks.datasets.testfiles import acecode, bigcodebench, kodcode
from tasks.datasets.verifiable import openr1, primeintellect, synthetic2
from tasks.errors import TaskError
from tasks.rows import Row, Skip, collect, read_rows
from tasks.types import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset family. `tests` and `ids` are for people; `split_of` finds a local row's split."""

    name: str
    parse: Callable[[Row], Task | Skip]
    hub: Hub
    tests: str
    ids: str
    split_of: Callable[[Row], str | None] | None = None


_POSITION = "NAME/ROW, counted from 0 within the file or split"

DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="humaneval",
            parse=humaneval,
            hub=Hub("openai/openai_humaneval", "test"),
            tests="check(candidate)",
            ids="task_id",
        ),
        Dataset(
            name="humanevalplus",
            parse=humanevalplus,
            hub=Hub("evalplus/humanevalplus", "test"),
            tests="inputs with outputs of the reference (release file); check(candidate) (hub)",
            ids="task_id",
        ),
        Dataset(
            name="mbpp",
            parse=mbpp,
            hub=Hub("google-research-datasets/mbpp", "test", configs=("full",)),
            tests="asserts",
            ids="task_id",
            split_of=mbpp_split,
        ),
        Dataset(
            name="mbppplus",
            parse=mbppplus,
            hub=Hub("evalplus/mbppplus", "test"),
            tests="inputs with outputs of the reference (release file); a test program (hub)",
            ids="task_id",
        ),
        Dataset(
            name="humanevalpack",
            parse=humanevalpack,
            hub=Hub("bigcode/humanevalpack", "test", configs=("python",)),
            tests="check(candidate), and a known wrong program",
            ids="task_id",
        ),
        Dataset(
            name="apps",
            parse=apps,
            hub=Hub("codeparrot/apps", "train", files=(("train", "train.jsonl"), ("test", "test.jsonl"))),
            tests="standard input, or calls",
            ids="problem_id",
        ),
        Dataset(
            name="taco",
            parse=taco,
            hub=Hub("BAAI/TACO", "train"),
            tests="standard input, or calls",
            ids=_POSITION,
        ),
        Dataset(
            name="code_contests",
            parse=code_contests,
            hub=Hub("deepmind/code_contests", "train"),
            tests="standard input",
            ids=f"name; {_POSITION} where a file has no names",
        ),
        Dataset(
            name="livecodebench",
            parse=livecodebench,
            hub=Hub(
                "livecodebench/code_generation_lite",
                "test",
                files=(("test", "test*.jsonl"),),
            ),
            tests="standard input, or calls",
            ids="question_id",
        ),
        Dataset(
            name="deepcoder",
            parse=deepcoder,
            hub=Hub(
                "agentica-org/DeepCoder-Preview-Dataset",
                "train",
                configs=("primeintellect", "taco", "lcbv5", "codeforces"),
            ),
            tests="standard input, or calls",
            ids=_POSITION,
        ),
        Dataset(
            name="kodcode",
            parse=kodcode,
            hub=Hub("KodCode/KodCode-V1", "train"),
            tests="pytest",
            ids="question_id",
        ),
        Dataset(
            name="primeintellect",
            parse=primeintellect,
            hub=Hub("PrimeIntellect/verifiable-coding-problems", "train"),
            tests="standard input, or calls",
            ids="problem_id",
        ),
        Dataset(
            name="openr1",
            parse=openr1,
            hub=Hub("open-r1/verifiable-coding-problems-python", "train"),
            tests="standard input, or calls",
            ids="problem_id",
        ),
        Dataset(
            name="synthetic2",
            parse=synthetic2,
            hub=Hub("PrimeIntellect/SYNTHETIC-2-RL", "train"),
            tests="standard input, or calls",
            ids="problem_id",
        ),
        Dataset(
            name="acecode",
            parse=acecode,
            hub=Hub("TIGER-Lab/AceCode-87K", "train"),
            tests="asserts",
            ids="id",
        ),
        Dataset(
            name="bigcodebench",
            parse=bigcodebench,
            hub=Hub("bigcode/bigcodebench", "v0.1.4"),
            tests="unittest",
            ids="task_id",
        ),
    )
}


def load(name_or_spec: str, *, split: str | None = None, limit: int | None = None) -> list[Task]:
    """The problems of `NAME`, `NAME=FILE`, `FILE.jsonl` (native format) or `builtin:...`.

    `limit` stops after so many problems. Rows that give no problem (no tests, another language) are left
    out; their number and why is printed to standard error. Raises `TaskError`.
    """
    if name_or_spec.startswith("builtin:"):
        from tasks import builtin

        return list(islice(builtin.load(name_or_spec), limit))
    name, equals, file = name_or_spec.partition("=")
    if name in DATASETS:
        dataset = DATASETS[name]
        rows = _local_rows(dataset, Path(file), split) if equals else hub_rows(name, dataset.hub, split)
        return collect(name, rows, dataset.parse, limit)
    if Path(name_or_spec).suffix in (".jsonl", ".json", ".gz") or Path(name_or_spec).is_file():
        _no_split(name_or_spec, split)
        return native.load(Path(name_or_spec), limit=limit)
    close = difflib.get_close_matches(name, DATASETS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise TaskError(
        f"unknown dataset {name!r}. {hint}Known: {', '.join(DATASETS)}; or NAME=FILE, FILE.jsonl, builtin:..."
    )


def describe() -> list[dict[str, str]]:
    """One row for each dataset, for `coderl tasks list`."""
    return [
        {
            "name": dataset.name,
            "hub": dataset.hub.repo,
            "configs": ", ".join(config for config in dataset.hub.configs if config),
            "split": dataset.hub.split,
            "tests": dataset.tests,
            "ids": dataset.ids,
        }
        for dataset in DATASETS.values()
    ]


def _local_rows(dataset: Dataset, path: Path, split: str | None) -> Iterator[Row]:
    rows = read_rows(path, dataset.name)
    if dataset.split_of is None or split is None:
        _no_split(f"{dataset.name}={path}", split)
        return rows
    split_of = dataset.split_of
    return (row for row in rows if split_of(row) == split)


def _no_split(spec: str, split: str | None) -> None:
    if split is not None:
        raise TaskError(
            f"{spec}: a local file has no splits; leave out split {split!r} or give that split's file."
        )
