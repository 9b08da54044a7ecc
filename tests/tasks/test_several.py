"""Tasks of which several answers are right, told by the data set's own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.datasets import load
from tasks.datasets.several import SEVERAL, says_several
from tasks.errors import TaskError
from tests.tasks.test_corrupt_rows import GOOD


@pytest.mark.parametrize(
    "statement",
    [
        "If there are multiple answers, print any.",
        "If there are several possible answers, you may print any of them.\n\nExample",
        "If there are multiple subsets with this largest size, you can output any of them.",
        "Otherwise, print any suitable value of d",
        "Please help Vupsen to find any such array b!",
        "If multiple solutions exist, return any valid one",
        "Any of them will be accepted.",
        "any valid answer is accepted",
        "The checker accepts any correct solution.",
        "You may return the answer in any order.",
        "You can print the edges in any order.",
        "IF THERE ARE MANY ANSWERS OUTPUT ANY",
        "Display any one of them",
        "print\nany of\nthem",
    ],
)
def test_a_statement_that_says_so_plainly(statement: str) -> None:
    said = says_several(statement)
    assert said is not None and said.lower() in statement.lower()


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "Print the sum of a and b.",
        "You can print each letter in any case (upper or lower).",
        "The edges are given in any order. Print the number of components.",
        "Casimir can choose any of two possible actions.",
        "If there are several identical minima, Yelisey can choose any of them.",
        "Do not print any other text.",
        "If you cannot find any such number, print -1.",
        "If it doesn't print any of them, the answer is 0.",
        "There can be multiple edges between any two vertices. Print YES if any path exists.",
    ],
)
def test_a_statement_that_does_not(statement: str) -> None:
    assert says_several(statement) is None


def test_they_are_kept_marked_or_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        GOOD["code_contests"],
        {
            **GOOD["code_contests"],
            "name": "2_B",
            "description": "If there are many answers, print any of them.",
        },
        {**GOOD["code_contests"], "name": "3_C", "special_judge": True},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = load(f"code_contests={path}")
    assert [task.metadata.get(SEVERAL) for task in kept] == [
        None,
        "If there are many answers, print any of them",
        "special_judge is set",
    ]
    capsys.readouterr()
    assert [task.id for task in load(f"code_contests={path}", several="leave out")] == ["1_A"]
    assert "code_contests: left out 2 rows: several answers are right" in capsys.readouterr().err
    path.write_text(json.dumps(rows[1]) + "\n")
    with pytest.raises(TaskError, match="no problems found"):
        load(f"code_contests={path}", several="leave out")


def test_a_test_that_decides_itself_leaves_no_doubt(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**GOOD["kodcode"], "question": "Return any of them."}) + "\n")
    (task,) = load(f"kodcode={path}", several="leave out")
    assert SEVERAL not in task.metadata


def test_how_many_of_code_contests_say_so(data: Path) -> None:
    spec = f"code_contests={data}/codecontests_test/code_contests_test165.json"
    assert sum(SEVERAL in task.metadata for task in load(spec)) == 35
    assert len(load(spec, several="leave out")) == 130
