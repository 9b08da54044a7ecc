"""The stage monitor against the simulation, where the truth is known, and on series made by hand."""

import json
from typing import Any

import pytest

from coderl.config.objective import ObjectiveConfig
from coderl.dynamics import Options, judge
from coderl.dynamics.simulate import simulate, true_stages
from coderl.training.stages import WINDOW, StageMonitor, trend

LAG = WINDOW // 2  # the truth looks half a window ahead, the monitor only back


@pytest.mark.parametrize(
    ("name", "options", "stages"),
    [
        ("grpo", {}, {"exploitation", "exploration"}),
        ("grpo", {"seed": 1}, {"exploitation", "exploration"}),
        ("grpo", {"inner_steps": 4, "steps": 300}, {"exploitation", "exploration"}),
        ("gspo", {"inner_steps": 4, "steps": 300}, {"exploitation", "exploration"}),
        ("grpo", {"group_size": 64, "prompts": 8, "steps": 400}, {"exploitation", "exploration"}),
        ("grpo", {"learning_rate": 0.3, "steps": 150}, {"exploitation"}),
        ("grpo_n", {"steps": 150}, {"exploitation"}),
        ("grpo", {"reward_popular": 0.0, "steps": 150}, {"exploration"}),
        ("psr", {"steps": 150}, {"exploration"}),
    ],
)
def test_monitor_agrees_with_the_truth(name: str, options: dict[str, Any], stages: set[str]) -> None:
    config = ObjectiveConfig.model_validate({"name": name})
    steps = list(simulate(Options.model_validate({"objective": config, **options})))
    truth, said = true_stages(steps), judge(steps)
    pairs = [(truth[i - LAG], said[i]) for i in range(WINDOW, len(steps))]
    for stage in stages:
        of_stage = [s for t, s in pairs if t == stage]
        assert len(of_stage) >= 5 and of_stage.count(stage) >= 0.9 * len(of_stage)
    assert {"exploitation": "exploration", "exploration": "exploitation"}.items().isdisjoint(pairs)
    false_alarms = [s for t, s in pairs if t == "saturated/unknown" and s != t]
    assert len(false_alarms) <= 0.07 * len(pairs)


def feed(monitor: StageMonitor, **series: list[float]) -> list[str]:
    """Steps with these series; what is not given stays level."""
    length = len(next(iter(series.values())))
    level = {"entropy": 1.0, "top_share": 0.5, "distinct_passing": 1.0, "first_solved": 0.0}
    return [
        monitor.step(**{name: series.get(name, [value] * length)[i] for name, value in level.items()})
        for i in range(length)
    ]


RISING = [0.3 + 0.01 * i for i in range(30)]
FALLING = RISING[::-1]


def test_concentrating_is_exploitation_unless_pass_at_k_rose_above_the_warm_model_s() -> None:
    assert feed(StageMonitor(), top_share=RISING)[-1] == "exploitation"
    assert feed(StageMonitor(), entropy=FALLING)[-1] == "exploitation"
    monitor = StageMonitor()
    monitor.evaluation(0.4, warm=True)
    monitor.evaluation(0.41, warm=False)
    assert feed(monitor, top_share=RISING)[-1] == "exploitation"  # above by less than the margin
    monitor.evaluation(0.5, warm=False)
    monitor.evaluation(None, warm=False)  # the sandbox failed for some: it says nothing
    assert feed(monitor, top_share=RISING)[-1] == "exploration"
    unknown = StageMonitor()
    unknown.evaluation(None, warm=True)
    unknown.evaluation(0.5, warm=False)
    assert feed(unknown, top_share=RISING)[-1] == "exploitation"


def test_finding_new_programs_or_tasks_is_exploration() -> None:
    assert feed(StageMonitor(), distinct_passing=RISING, top_share=FALLING)[-1] == "exploration"
    assert feed(StageMonitor(), first_solved=RISING)[-1] == "exploration"


def test_rising_entropy_with_nothing_new_is_no_exploration() -> None:
    assert feed(StageMonitor(), entropy=RISING, top_share=FALLING)[-1] == "saturated/unknown"


def test_no_verdict_before_a_full_window() -> None:
    said = feed(StageMonitor(), top_share=RISING)
    assert said[: WINDOW - 1] == ["saturated/unknown"] * (WINDOW - 1)
    assert said[WINDOW - 1] == "exploitation"


def test_a_monitor_goes_on_from_its_saved_state() -> None:
    whole, first = StageMonitor(), StageMonitor()
    feed(first, top_share=RISING[:15])
    resumed = StageMonitor.from_state(json.loads(json.dumps(first.state())))
    assert feed(resumed, top_share=RISING[15:]) == feed(whole, top_share=RISING)[15:]


def test_trend_needs_size_and_significance() -> None:
    assert trend([float(i) for i in range(20)], least=1.0) == 1
    assert trend([-float(i) for i in range(20)], least=1.0) == -1
    assert trend([0.001 * i for i in range(20)], least=1.0) == 0
    assert trend([0.0, 1.0] * 10, least=0.0) == 0
    assert trend([0.5] * 20, least=0.0) == 0
