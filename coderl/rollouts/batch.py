"""The data that flows through a training step: `Batch` -> `Group` -> `Rollout`.

Worked example, one prompt with G = 4 completions under GRPO-N and graded rewards:

    Group(task=Task(id="easy/17", ...), rollouts=[
        Rollout(sample=0, tokens=[5, 9, 2], reward=1.0, advantage=0.0),    # min(A, 0): costs the learner nothing
        Rollout(sample=1, tokens=[5, 8, 2], reward=0.5, advantage=-0.22),  # pushed down a little
        Rollout(sample=2, tokens=[7, 7, 7], reward=0.0, advantage=-1.0),   # pushed down
        Rollout(sample=3, tokens=[5, 9, 2], reward=None, advantage=None),  # INFRA: not in the statistics
    ])
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

from tasks.extraction.answers import Answer
from tasks.types import Task, Verdict


@dataclass(slots=True)
class Rollout:
    """One completion of one prompt, filled in as it is sampled, graded and given an advantage.

    `logprobs` are the sampler's, nats, one a token, under the tempered distribution that was
    sampled from. `tokens` include the end-of-sequence token when the completion has one. `text` is the whole answer,
    also what was begun for the model (`Prompt.opening`).
    """

    task: Task
    sample: int
    prompt_tokens: list[int]
    tokens: list[int]
    logprobs: list[float]
    text: str
    truncated: bool
    policy_version: int
    answer: Answer = Answer(None)
    verdicts: list[Verdict] = field(default_factory=list)  # on `answer.programs`
    reward: float | None = None
    advantage: float | None = None
    solution_class: str | None = None
    held_back: Future[Verdict | None] | None = None  # see `held_back_verdict`
    prompt: str = ""  # the text of `prompt_tokens`
    metrics: dict[str, float] = field(default_factory=dict)  # `metrics.own`, by name; absent: None

    def held_back_verdict(self) -> Verdict | None:
        """On the tests held back from the reward; waits for it. None: none were, the program did not pass the others,
        or the sandbox failed."""
        verdict = self.held_back.result() if self.held_back else None
        return verdict if verdict and verdict.passed is not None else None

    @property
    def program(self) -> str:
        """Empty where none was found."""
        return self.answer.program or ""

    @property
    def verdict(self) -> Verdict | None:
        """On `program`; None: it is not graded yet."""
        return self.verdicts[0] if self.verdicts else None

    @property
    def passed(self) -> bool | None:
        """None where nothing is known of the program."""
        return self.verdict.passed if self.verdict else None


@dataclass(slots=True)
class Group:
    """All completions of one prompt in one step; advantages are relative to the group."""

    task: Task
    rollouts: list[Rollout] = field(default_factory=list)

    @property
    def has_signal(self) -> bool:
        """Whether the group's rewards differ, so that advantages are not all zero."""
        rewards = {r.reward for r in self.rollouts if r.reward is not None}
        return len(rewards) > 1


@dataclass(slots=True)
class Batch:
    step: int
    groups: list[Group]
    seconds_sample: float = 0.0
    seconds_grade: float = 0.0  # what grading added after the last completion was sampled

    @property
    def rollouts(self) -> list[Rollout]:
        return [r for group in self.groups for r in group.rollouts]

    @property
    def telling(self) -> Group:
        """The group to show: the first whose rewards differ, else the first."""
        return next((group for group in self.groups if group.has_signal), self.groups[0])

    @property
    def policy_version(self) -> int:
        """Of the weights that sampled it: optimizer batches done by then."""
        return self.groups[0].rollouts[0].policy_version

    def __add__(self, other: Batch) -> Batch:
        """The groups of both, sampled one after the other for the same step."""
        return Batch(
            self.step,
            self.groups + other.groups,
            self.seconds_sample + other.seconds_sample,
            self.seconds_grade + other.seconds_grade,
        )
