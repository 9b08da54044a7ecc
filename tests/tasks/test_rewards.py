"""Rewards: in [0, 1], and None, never 0, for what is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.protocol import Status
from tasks.errors import TaskError
from tasks.grading.rewards import load_reward
from tasks.types import Verdict


def verdict(score: float | None, passed: bool = False) -> Verdict:
    status = Status.INFRA if score is None else Status.OK
    known = None if score is None else passed
    return Verdict(task_id="t", passed=known, score=score, status=status, phase="wrong")


@pytest.mark.parametrize(
    ("name", "score", "passed", "reward"),
    [
        ("all_passed", 1.0, True, 1.0),
        ("all_passed", 0.75, False, 0.0),
        ("all_passed", None, False, None),
        ("fraction", 1.0, True, 1.0),
        ("fraction", 0.75, False, 0.75),
        ("fraction", None, False, None),
    ],
)
def test_built_in_rewards(name: str, score: float | None, passed: bool, reward: float | None) -> None:
    assert load_reward(name)(verdict(score, passed)) == reward


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_rewards.py").write_text(
        "calls = []\n"
        "def half(verdict):\n    calls.append(verdict)\n    return verdict.score / 2\n"
        "def out(verdict): return None\n"
        "def large(verdict): return 2\n"
        "def text(verdict): return '1'\n"
        "def nan(verdict): return float('nan')\n"
        "constant = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "own_rewards"


def test_a_users_function(own: str) -> None:
    assert load_reward(f"{own}:half")(verdict(0.5)) == 0.25
    assert load_reward(f"{own}:out")(verdict(0.5)) is None


def test_a_users_function_never_sees_infra(own: str) -> None:
    assert load_reward(f"{own}:half")(verdict(None)) is None  # it would divide None


@pytest.mark.parametrize("name", ["large", "text", "nan"])
def test_a_reward_outside_its_range_is_an_error_that_names_the_task(own: str, name: str) -> None:
    with pytest.raises(TaskError, match=rf"{name}.*for t; rewards lie in \[0, 1\]"):
        load_reward(f"{own}:{name}")(verdict(0.5))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("passed", "use one of all_passed, fraction"),
        ("no_such_module:f", "PYTHONPATH"),
        ("own_rewards:missing", "PYTHONPATH"),
        ("own_rewards:constant", "constant is a int, not a function"),
    ],
)
def test_a_name_that_leads_nowhere(own: str, name: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load_reward(name)
