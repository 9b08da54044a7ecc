"""The datasets known by name: where each lives, how its rows are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.datasets.apps import apps, taco
from tasks.datasets.code_contests import code_contests
from tasks.datasets.codeforces import codeforces
from tasks.datasets.deepcoder import deepcoder
from tasks.datasets.evalplus import humanevalplus, mbppplus
from tasks.datasets.hub import Hub
from tasks.datasets.humaneval import humaneval, humanevalpack
from tasks.datasets.leetcode import leetcode
from tasks.datasets.livecodebench import livecodebench
from tasks.datasets.mbpp import mbpp, mbpp_split
from tasks.datasets.testfiles import acecode, bigcodebench, kodcode
from tasks.datasets.verifiable import openr1, primeintellect, synthetic2
from tasks.rows import Row, Skip
from tasks.types import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset family. `summary`, `tests` and `ids` (where task ids come from) are for people.

    `split_of` tells the split of a row of a local file, where that can be told.
    """

    name: str
    summary: str
    parse: Callable[[Row], Task | Skip]
    hub: Hub
    tests: str
    ids: str
    split_of: Callable[[Row], str | None] | None = None


_POSITION = "NAME/ROW: the row's place in the file or split, from 0"
_COMPETITION = "stdin and stdout, or calls"

_ALL = (
    Dataset(
        name="humaneval",
        summary="164 functions to complete, by hand",
        parse=humaneval,
        hub=Hub("openai/openai_humaneval", held_out="test"),
        tests="check(candidate)",
        ids="task_id",
    ),
    Dataset(
        name="humanevalplus",
        summary="HumanEval with 80 times the tests",
        parse=humanevalplus,
        hub=Hub("evalplus/humanevalplus", held_out="test"),
        tests="inputs, outputs from the reference; on the hub check(candidate)",
        ids="task_id",
    ),
    Dataset(
        name="mbpp",
        summary="974 basic problems, 427 of them sanitized",
        parse=mbpp,
        hub=Hub("google-research-datasets/mbpp", train="train", held_out="test", configs=("full",)),
        tests="asserts",
        ids="task_id",
        split_of=mbpp_split,
    ),
    Dataset(
        name="mbppplus",
        summary="378 of MBPP with 35 times the tests",
        parse=mbppplus,
        hub=Hub("evalplus/mbppplus", held_out="test"),
        tests="inputs, outputs from the reference; on the hub a test program",
        ids="task_id",
    ),
    Dataset(
        name="humanevalpack",
        summary="HumanEval with a labelled bug in each solution",
        parse=humanevalpack,
        hub=Hub("bigcode/humanevalpack", held_out="test", configs=("python",)),
        tests="check(candidate)",
        ids="task_id",
    ),
    Dataset(
        name="apps",
        summary="10,000 problems from competition sites",
        parse=apps,
        hub=Hub(
            "codeparrot/apps",
            train="train",
            held_out="test",
            files={"train": "train.jsonl", "test": "test.jsonl"},
        ),
        tests=_COMPETITION,
        ids="problem_id",
    ),
    Dataset(
        name="taco",
        summary="26,000 problems from competition sites, with limits",
        parse=taco,
        hub=Hub("BAAI/TACO", train="train", held_out="test"),
        tests=_COMPETITION,
        ids=_POSITION,
    ),
    Dataset(
        name="code_contests",
        summary="AlphaCode's contest problems, with generated tests",
        parse=code_contests,
        hub=Hub("deepmind/code_contests", train="train", held_out="test"),
        tests="stdin and stdout",
        ids=f"name; in files without names {_POSITION}",
    ),
    Dataset(
        name="codeforces",
        summary="open-r1's problems of Codeforces, with checkers where several outputs are right",
        parse=codeforces,
        hub=Hub("open-r1/codeforces", train="train", held_out="test", configs=("verifiable",)),
        tests="stdin and stdout, or a checker",
        ids="id",
    ),
    Dataset(
        name="livecodebench",
        summary="dated contest problems, to compare with a model's cutoff",
        parse=livecodebench,
        hub=Hub("livecodebench/code_generation_lite", held_out="test", files={"test": "test*.jsonl"}),
        tests=_COMPETITION,
        ids="question_id",
    ),
    Dataset(
        name="leetcode",
        summary="2,800 problems of LeetCode by date, with a hundred tests each",
        parse=leetcode,
        hub=Hub("newfacade/LeetCodeDataset", train="train", held_out="test"),
        tests="check(candidate)",
        ids="task_id",
    ),
    Dataset(
        name="deepcoder",
        summary="24,000 problems chosen for RL",
        parse=deepcoder,
        hub=Hub(
            "agentica-org/DeepCoder-Preview-Dataset",
            train="train",
            held_out="test",
            configs=("primeintellect", "taco", "lcbv5", "codeforces"),
        ),
        tests=_COMPETITION,
        ids=_POSITION,
    ),
    Dataset(
        name="kodcode",
        summary="synthetic problems with verified solutions",
        parse=kodcode,
        hub=Hub("KodCode/KodCode-V1", train="train"),
        tests="a pytest file",
        ids="question_id",
    ),
    Dataset(
        name="primeintellect",
        summary="verifiable coding problems from APPS, TACO and others",
        parse=primeintellect,
        hub=Hub("PrimeIntellect/verifiable-coding-problems", train="train"),
        tests=_COMPETITION,
        ids="problem_id",
    ),
    Dataset(
        name="openr1",
        summary="the Python part of the former, with executed solutions",
        parse=openr1,
        hub=Hub("open-r1/verifiable-coding-problems-python", train="train"),
        tests=_COMPETITION,
        ids="problem_id",
    ),
    Dataset(
        name="synthetic2",
        summary="the coding tasks of SYNTHETIC-2, with models' responses",
        parse=synthetic2,
        hub=Hub("PrimeIntellect/SYNTHETIC-2", train="train"),
        tests=_COMPETITION,
        ids="problem_id",
    ),
    Dataset(
        name="acecode",
        summary="87,000 questions with synthesized tests",
        parse=acecode,
        hub=Hub("TIGER-Lab/AceCode-87K", train="train"),
        tests="asserts",
        ids="id",
    ),
    Dataset(
        name="bigcodebench",
        summary="1,140 tasks that call many libraries (their packages must be in the sandbox's image)",
        parse=bigcodebench,
        hub=Hub("bigcode/bigcodebench", held_out="v0.1.4"),
        tests="unittest",
        ids="task_id",
    ),
)

DATASETS = {dataset.name: dataset for dataset in _ALL}
