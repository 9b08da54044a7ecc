"""Rewards: finite numbers, and None, never 0, for what is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.protocol import Status
from tasks.errors import TaskError
from tasks.grading.rewards import Graded, load_metrics, load_reward
from tasks.types import StdioTest, Task, Verdict


def graded(score: float | None, passed: bool = False) -> Graded:
    status = Status.INFRA if score is None else Status.OK
    known = None if score is None else passed
    task = Task(id="t", prompt="p", tests=(StdioTest(stdin="", stdout=""),))
    verdict = Verdict(task_id="t", passed=known, score=score, status=status, phase="wrong")
    return Graded(
        prompt="p", completion="c", program="x", task=task, verdict=verdict, tokens=3, truncated=True
    )


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
    assert load_reward(name)(graded(score, passed)) == reward


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_rewards.py").write_text(
        "calls = []\n"
        "def half(verdict):\n    calls.append(verdict)\n    return verdict.score / 2\n"
        "def out(verdict): return None\n"
        "def large(verdict): return 2\n"
        "def negative(verdict): return -1\n"
        "def everything(prompt, completion, program, task, verdict, tokens, truncated): return tokens\n"
        "def rest(**all): return len(all)\n"
        "def optional(verdict, scale=4): return scale\n"
        "def misspelt(verdct): return 1\n"
        "def text(verdict): return '1'\n"
        "def nan(verdict): return float('nan')\n"
        "constant = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "own_rewards"


def test_a_users_function(own: str) -> None:
    assert load_reward(f"{own}:half")(graded(0.5)) == 0.25
    assert load_reward(f"{own}:out")(graded(0.5)) is None
    assert [load_reward(f"{own}:{name}")(graded(0.5)) for name in ("large", "negative")] == [2.0, -1.0]


@pytest.mark.parametrize(("name", "value"), [("everything", 3.0), ("rest", 7.0), ("optional", 4.0)])
def test_a_function_is_given_what_it_names(own: str, name: str, value: float) -> None:
    assert load_reward(f"{own}:{name}")(graded(0.5)) == value


def test_a_sum_weighs_its_parts_and_is_unknown_where_one_is(own: str) -> None:
    assert load_reward({"fraction": 2, f"{own}:negative": 0.25})(graded(0.5)) == 0.75
    assert load_reward({"fraction": 2, f"{own}:out": 0.25})(graded(0.5)) is None


def test_metrics_have_the_names_of_their_functions(own: str) -> None:
    metrics = load_metrics([f"{own}:rest", "fraction"])
    assert {name: metric(graded(0.5)) for name, metric in metrics.items()} == {"rest": 7.0, "fraction": 0.5}
    with pytest.raises(TaskError, match="two functions have the same name"):
        load_metrics([f"{own}:rest", f"{own}:rest"])


def test_a_users_function_never_sees_infra(own: str) -> None:
    assert load_reward(f"{own}:half")(graded(None)) is None  # it would divide None


@pytest.mark.parametrize("name", ["text", "nan"])
def test_what_is_no_number_is_an_error_that_names_the_task(own: str, name: str) -> None:
    with pytest.raises(TaskError, match=rf"{name} returned .* for t; it is to be a finite number"):
        load_reward(f"{own}:{name}")(graded(0.5))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("passed", "use one of all_passed, fraction"),
        ("no_such_module:f", "PYTHONPATH"),
        ("own_rewards:missing", "own_rewards.py has no 'missing'"),
        ("own_rewards:larg", "did you mean large"),
        ("own_rewards:constant", "it is a int, not a function"),
        ("own_rewards:misspelt", "wants 'verdct'; did you mean verdict"),
    ],
)
def test_a_name_that_leads_nowhere(own: str, name: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load_reward(name)
