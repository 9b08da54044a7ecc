"""From prompts to a graded batch.

    sampler (this thread)  --completion-->  grader's queue  -->  sandbox slots (threads)
            ^ vLLM steps                         |
            +---- goes on sampling               +--> futures, awaited once sampling is done

A completion is graded while others are still being generated; the same program of the same task is run once.
Sampling never waits for grading; the queue holds at most one batch.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from coderl.config.settings import RunConfig
from coderl.errors import SandboxOutageError
from coderl.model.policy import Policy
from coderl.model.prompts import Prompt
from coderl.rollouts.batch import Batch, Group, Rollout
from coderl.rollouts.gradings import Gradings
from coderl.rollouts.shaping import shaped
from coderl.sampling.types import Completion, Drawing, Request, Sampler, completion_seed
from tasks.builtin import solution_class
from tasks.extraction.answers import Answer
from tasks.grading.grader import Grader
from tasks.grading.hold_back import HoldBack
from tasks.grading.rewards import Graded, Measure
from tasks.types import Task, Verdict

# Share of a batch's programs that the sandbox may fail to grade before the run waits rather than learn from the rest.
MAX_INFRA_SHARE = 0.5
OUTAGE_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before each new try; then the last, again and again


@dataclass(slots=True)
class Collector:
    """Samples and grades; the parts that training and evaluation share."""

    config: RunConfig
    policy: Policy
    sampler: Sampler
    grader: Grader
    reward: Measure
    note: Callable[[str], None] = lambda text: None  # is told of an outage of the sandbox
    metrics: Mapping[str, Measure] = field(default_factory=dict)

    def collect(
        self,
        tasks: Sequence[Task],
        samples: int,
        *,
        step: int,
        stream: str,
        drawing: Drawing | None = None,
        hold_back: HoldBack | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Batch:
        """Sample `samples` completions of each task and grade them all.

        `stream` names the use (`train`, `held-out`), so that each has seeds of its own. With `hold_back` rewards do not
        see some tests; on these the completions that pass are still being graded when this returns.

        Raises:
            SamplerError: vLLM failed.
            SandboxOutageError: over half of the programs could not be graded, by our fault, for as long as
                `sandbox.outage_seconds` says.
            TaskError: the reward or a metric failed.
        """
        groups = [Group(task) for task in tasks]
        requests: list[Request] = []
        prompts = [self.policy.prompt(task) for task in tasks]
        for index, (task, prompt) in enumerate(zip(tasks, prompts, strict=True)):
            for sample in range(samples):
                seed = completion_seed(self.config.seed, stream, step, index, task.id, sample)
                requests.append(Request(len(requests), prompt.tokens, seed))
        pending: list[tuple[Rollout, list[Future[Verdict]]]] = []
        gradings = Gradings(self.grader, hold_back)
        drawing = drawing or Drawing.training(self.config.sampler)
        started = time.monotonic()
        for completion in self.sampler.sample(requests, drawing):
            index, sample = divmod(completion.key, samples)
            group = groups[index]
            rollout = self._rollout(group.task, prompts[index], completion, sample, drawing.stop)
            group.rollouts.append(rollout)
            pending.append((rollout, gradings.submit(rollout)))
            if on_progress:
                on_progress(len(pending), len(requests))
        sampled = time.monotonic()
        for rollout, futures in pending:
            self._finish(rollout, [future.result() for future in futures])
        self._outlast_outage([rollout for rollout, _ in pending], step, hold_back)
        for group in groups:
            group.rollouts.sort(key=lambda r: r.sample)
        return Batch(step, groups, sampled - started, time.monotonic() - sampled)

    def _rollout(
        self, task: Task, prompt: Prompt, completion: Completion, sample: int, stop: Sequence[str]
    ) -> Rollout:
        written = before(stop, self.policy.text(completion.tokens))
        text = prompt.opening + written
        sanitized = self.config.grading.extraction == "evalplus"
        return Rollout(
            task=task,
            sample=sample,
            prompt_tokens=prompt.tokens,
            tokens=completion.tokens,
            logprobs=completion.logprobs,
            text=text,
            truncated=completion.truncated,
            policy_version=self.sampler.policy_version,
            prompt=prompt.text,
            answer=Answer.sanitized(prompt.given, written, task) if sanitized else Answer.of(text, task),
        )

    def _finish(self, rollout: Rollout, verdicts: list[Verdict]) -> None:
        rollout.verdicts = verdicts
        rollout.solution_class = solution_class(rollout.task, verdicts[0])
        graded = _graded(rollout, verdicts[0])
        measured = {name: metric(graded) for name, metric in self.metrics.items()}
        rollout.metrics = {name: value for name, value in measured.items() if value is not None}
        rollout.reward = shaped(
            self.reward(graded),
            self.config.reward,
            truncated=rollout.truncated,
            tokens=len(rollout.tokens),
            max_tokens=self.config.sampler.max_tokens,
        )

    def _outlast_outage(
        self, rollouts: Sequence[Rollout], step: int, hold_back: HoldBack | None = None
    ) -> None:
        """Grade again what the sandbox could not; during an outage only once one program gets a verdict.

        What it cannot grade even then is left out of its group, unless it is over half of the programs.
        """
        since = time.monotonic()
        most = MAX_INFRA_SHARE * sum(r.verdict is not None and r.verdict.phase != "no_code" for r in rollouts)
        failed = _ungraded(rollouts)
        self._grade_again(failed if len(failed) <= most else failed[:1], hold_back)
        for pause in itertools.chain(OUTAGE_PAUSES, itertools.repeat(OUTAGE_PAUSES[-1])):
            if len(_ungraded(failed)) < len(failed):  # one got a verdict: the sandbox works again
                self._grade_again(_ungraded(rollouts), hold_back)
            failed = _ungraded(rollouts)
            if len(failed) <= most:
                return
            verdict = failed[0].verdict
            text = (
                f"the sandbox could not grade {len(failed)} of {len(rollouts)} completions in step {step}: "
                f"{(verdict and verdict.detail) or 'no detail'}"
            )
            waited = time.monotonic() - since
            if waited >= self.config.sandbox.outage_seconds:
                raise SandboxOutageError(
                    f"{text}. Waited {waited:.0f} s; check `coderl sandbox doctor`, then continue with --resume"
                )
            self.note(f"{text}; trying again in {pause:g} s")
            time.sleep(pause)
            self._grade_again(failed[:1], hold_back)

    def _grade_again(self, rollouts: Sequence[Rollout], hold_back: HoldBack | None = None) -> None:
        gradings = Gradings(self.grader, hold_back)
        pending = [(rollout, gradings.submit(rollout)) for rollout in rollouts]
        for rollout, futures in pending:
            self._finish(rollout, [future.result() for future in futures])


def _graded(rollout: Rollout, verdict: Verdict) -> Graded:
    return Graded(
        prompt=rollout.prompt,
        completion=rollout.text,
        program=rollout.program,
        task=rollout.task,
        verdict=verdict,
        tokens=len(rollout.tokens),
        truncated=rollout.truncated,
    )


def before(stop: Sequence[str], text: str) -> str:
    """`text` as far as the first of the stop strings."""
    return text[: min((i for one in stop if (i := text.find(one)) >= 0), default=None)]


def _ungraded(rollouts: Sequence[Rollout]) -> list[Rollout]:
    return [r for r in rollouts if r.passed is None]
