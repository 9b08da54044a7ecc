"""The paper's toy example with a study's own settings, to compare with the real model's shares.

Taken from the study: the warm model's shares of the popular and the rare solution on shortcut tasks, the rewards, the
objective, group size, groups a step, and steps. The simulation's learning rate is the one with which GRPO's
first step moves the policy by as much KL a completion as a training step may (`learner.schedule`).
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from coderl.config.settings import RunConfig
from coderl.dynamics.simulate import Options, Step, simulate
from coderl.runfolder.write import RunFolder
from coderl.study.config import StudyConfig
from tasks.files import write_text

POPULAR_REWARD = 0.8  # tasks.builtin.generate: the popular solution passes 8 of 10 tests
UNSEEN = 1e-6  # the rare solution's share where none of the warm model's samples was one


def write(config: StudyConfig) -> None:
    """Simulate every arm but those with shuffled advantages, and write `simulation.json` into the study's folder."""
    from analysis.study.data import LEVELS, class_shares, read_policy
    from coderl.runfolder.layout import HELD_OUT, SIMULATION, WARM

    warm = read_policy(config.folder, WARM).evaluations[HELD_OUT]
    runs: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for arm in config.arms:
        run = config.arm(arm, config.seeds[0])
        if run.objective.shuffle_advantages:
            continue
        for level in LEVELS:
            if shares := class_shares(warm, level):
                options = _options(run, shares, _tokens(run))
                settings[level] = options.model_dump(exclude={"objective"}, exclude_none=True)
                runs.setdefault(arm, {})[level] = [_shares(step) for step in simulate(options)]
    write_text(config.folder / SIMULATION, json.dumps({"settings": settings, "arms": runs}) + "\n")


def _tokens(run: RunConfig) -> float:
    """Of a completion of the first batch, mean: there every arm's policy is the warm one."""
    steps = (line for line in RunFolder(run.folder).read_log() if line["kind"] == "step")
    return float(next(steps)["completion_tokens_mean"])


def _options(run: RunConfig, start: dict[str, float], tokens: float) -> Options:
    options = Options(
        objective=run.objective,
        popular=min(start["popular"], 0.99),
        rare=max(start["rare"], UNSEEN),
        reward_popular=POPULAR_REWARD,
        group_size=run.train.samples_per_prompt,
        prompts=run.train.prompts_per_step,
        steps=run.train.steps,
        inner_steps=run.learner.minibatches,
        seed=run.seed,
    )
    return options.model_copy(update={"learning_rate": _rate(options, run.learner.kl_target * tokens)})


def _rate(options: Options, kl: float) -> float:
    """The learning rate with which GRPO's first step moves the policy by `kl`, nats a completion; 1 without one.

    KL grows with the square of a small step.
    """
    if not kl:
        return 1.0
    trial = options.model_copy(update={"steps": 1, "learning_rate": 1e-3, "objective": Options().objective})
    before, after = simulate(trial)
    moved = sum(q * math.log(q / p) for p, q in zip(_masses(before), _masses(after), strict=True))
    return 1e-3 * math.sqrt(kl / moved)


def _masses(step: Step) -> tuple[float, float, float]:
    return step.popular, step.rare, step.wrong


def _shares(step: Step) -> tuple[int, dict[str, float]]:
    found = asdict(step)
    return step.step, {name: found[name] for name in ("popular", "rare", "wrong")}
