"""A user's own reward, metric and objective: the examples of docs/own.md, and what is said of mistakes."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from coderl.config.load import load
from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from coderl.learning import objectives
from coderl.learning.credit import advantages
from coderl.rollouts.opening import rehearse_measures
from coderl.rollouts.prompts import Data
from sandbox.protocol import Status
from tasks.errors import TaskError
from tasks.grading.rewards import Graded, load_metrics, load_reward
from tasks.types import StdioTest, Task, Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "own.md").read_text()
TASK = Task(id="t", prompt="Say.", tests=(StdioTest(stdin="", stdout=""),), metadata={"topic": "x"})


def examples() -> str:
    """All programs of the page, as one file."""
    return "\n".join(re.findall(r"```python\n# mine\.py\n(.*?)\n```\n\n", PAGE, re.DOTALL))


def overrides() -> list[list[str]]:
    return [shlex.split(line)[2:] for line in re.findall(r"^    coderl train .*$", PAGE, re.MULTILINE)]


def own(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    """The name of a module in the current folder; each test has its own, as modules stay loaded."""
    name = f"mine_{folder.name}"
    (folder / f"{name}.py").write_text(source)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))  # taken off again after the test
    return name


def configs(module: str) -> list[RunConfig]:
    return [load(None, [each.replace("mine:", f"{module}:") for each in given]) for given in overrides()]


def graded(score: float | None = 0.5, completion: str = "```\nx = 1\n```", **changes: object) -> Graded:
    status = Status.INFRA if score is None else Status.OK
    passed = None if score is None else score == 1
    verdict = Verdict(task_id="t", passed=passed, score=score, status=status, phase="wrong")
    whole = Graded(
        prompt="<user>Say.",
        completion=completion,
        program="x = 1\n",
        task=TASK,
        verdict=verdict,
        tokens=7,
        truncated=False,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_the_rewards_and_the_metric_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = own(tmp_path, monkeypatch, examples())
    short, weighted, metric, _ = configs(module)
    assert load_reward(short.reward.kind)(graded()) == pytest.approx(0.5 - 0.006)
    assert load_reward(short.reward.kind)(graded(0.0)) == pytest.approx(-0.006)
    both = load_reward(weighted.reward.kind)
    assert both(graded()) == pytest.approx(0.7)
    assert both(graded(completion="no fence")) == 0.5 and both(graded(None)) is None
    assert load_metrics(metric.metrics.own)["fenced"](graded()) == 1.0
    rehearse_measures(weighted, Data([TASK], [TASK], [], []))


def test_the_objectives_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = own(tmp_path, monkeypatch, examples())
    config = configs(module)[3]
    objectives.rehearse(config.objective)
    assert advantages(config.objective, [0.0, None, 0.25, 1.0], [False] * 4) == [-0.25, None, 0.0, 0.75]
    saved = tmp_path / "config.toml"
    saved.write_text(config.to_toml())
    assert load(saved) == config
    soft = load(None, [f"objective.name={module}:Soft", "objective.kl_coef=0"]).objective
    objectives.rehearse(soft)
    logp, old = torch.tensor([[-1.0, -2.0]], requires_grad=True), torch.tensor([[-1.0, -1.0]])
    given = objectives.LossInputs(
        logp, old, torch.ones(1, 2).bool(), torch.tensor([2.0]), torch.tensor([0.5])
    )
    loss, _ = objectives.policy_loss(soft, given)
    assert float(loss.detach()) == pytest.approx(-1.0 * float(torch.tanh(torch.tensor(-1.0).exp() - 1)))


def test_a_negative_only_objective_of_ones_own_is_held_to_the_warm_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = examples().replace("advantages=from_median", "negative_only=True, advantages=from_median")
    config = load(None, [f"objective.name={own(tmp_path, monkeypatch, source)}:Median"]).objective
    assert (config.kl_coef, config.kl_kind) == (0.1, "full")
    assert advantages(config, [0.0, 0.25, 1.0], [False] * 3) == [-0.25, 0.0, 0.0]
    assert not config.scores_every_row


FORM = "from coderl.config.objective import Form; "
WRONG_OBJECTIVES = {
    "NAME = 3": "it is a int, not a coderl.config.objective.Form",
    "OTHER = 3": "OWN.py has no 'NAME'; name what it defines",
    "NAMES = 3": "OWN.py has no 'NAME'; did you mean NAMES",
    "import nowhere_at_all": "ModuleNotFoundError: No module named 'nowhere_at_all' .*OWN.py, line 1",
    "1 / 0": "ZeroDivisionError: division by zero .*OWN.py, line 1",
    FORM
    + "NAME = Form(advantages=lambda c, r, p: r[:1])": "advantages of 3 rewards are to be as many finite",
    FORM + "NAME = Form(advantages=lambda c, r, p: 1 / 0)": "advantages failed: ZeroDiv.*OWN.py, line 1",
    FORM + "NAME = Form(surrogate=lambda c, r, a, l: r.no)": "surrogate failed: Attribute.*OWN.py, line 1",
    FORM + "NAME = Form(surrogate=lambda c, r, a, l: r.detach())": "surrogate failed: RuntimeError",
    FORM + "NAME = Form(surrogate=lambda c, r, a, l: r * float('nan'))": "no finite gradient",
}


@pytest.mark.parametrize("source", WRONG_OBJECTIVES)
def test_a_wrong_objective_is_said_before_the_run(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = own(tmp_path, monkeypatch, source)
    message = WRONG_OBJECTIVES[source].replace("OWN", module)
    with pytest.raises(ConfigError, match=f"objective.name = '?{module}:NAME.*{message}"):
        objectives.rehearse(load(None, [f"objective.name={module}:NAME"]).objective)


@pytest.mark.parametrize("name", ["grpo_m", "nowhere:Name"])
def test_an_objective_that_is_not_there(name: str) -> None:
    said = {"grpo_m": "did you mean grpo", "nowhere:Name": "no module nowhere in .* or on PYTHONPATH"}
    for key in ("objective.name", "stages.exploration"):
        with pytest.raises(ConfigError, match=f"{key} = '{name}': .*{said[name]}"):
            load(None, [f"{key}={name}"])


def test_a_failing_reward_is_found_before_the_run_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "def mine(task, verdict):\n    return 1.0 if verdict.passed else task.metadata['level']\n"
    module = own(tmp_path, monkeypatch, source)
    config = load(None, [f"reward.kind={module}:mine"])
    with pytest.raises(
        TaskError, match=rf"{module}:mine failed on t: KeyError: 'level' .*{module}.py, line 2"
    ):
        rehearse_measures(config, Data([TASK], [TASK], [], []))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{}", "one reward is its name, several are"),
        ('{fraction = "1"}', "the weight of fraction is to be a finite number"),
        ("{fraction = nan}", "the weight of fraction is to be a finite number"),
        ("3", "one reward is its name"),
    ],
)
def test_a_sum_that_is_none(given: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(None, [f"reward.kind={given}"])
