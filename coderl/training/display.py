"""What a run shows while it works: one line a step, and a progress bar within it on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tasks.progress import Progress

if TYPE_CHECKING:
    from coderl.config.settings import RunConfig, SamplerConfig
    from coderl.rollouts.batch import Batch, Rollout
    from coderl.rollouts.prompts import Data
    from coderl.sampling.types import Drawing
    from coderl.training.evaluate import Evaluation

SAMPLE_LINES = 20
MANY_CUT = 0.1  # share of completions


def _overfit(fields: dict[str, Any]) -> str:
    rate = fields["overfit_rate"]
    return "" if rate is None else f"  overfit {rate:.0%}"


def printable(text: str) -> str:
    """`text` without what could steer a terminal: a model's output is not to be trusted with one."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


class Display:
    """Writes to standard error, so that standard output stays for results."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.console.soft_wrap = not self.console.is_terminal  # a line of a log stays one
        self._progress = Progress(self.console)

    def start(self, config: RunConfig, data: Data, drawing: Drawing, backend: str) -> None:
        objective, learner = config.objective, config.learner
        self.console.print(
            f"[bold]{config.name}[/]: {objective.name}, {config.train.steps} steps of {config.train.prompts_per_step} "
            f"prompts x {config.train.samples_per_prompt} samples, learning rate {learner.learning_rate:g}; "
            f"{len(data.train)} training and {len(data.evaluation)} evaluation tasks; sandbox: {backend}"
        )
        self.evaluated_at(drawing)
        self.data(config, data)

    def data(self, config: RunConfig, data: Data) -> None:
        """What was left out of it."""
        if data.overlapping:
            what = "kept" if config.data.allow_overlap else "left out of training"
            self.note(f"{len(data.overlapping)} training tasks also occur in evaluation: {what}")
        self.lengths(config.sampler, len(data.too_long))
        if data.weak:
            self.weak(data.weak)
        if data.left_out:
            self.left_out(data.left_out)

    def evaluated_at(self, drawing: Drawing) -> None:
        self.console.print(f"evaluated at {drawing}")

    def lengths(self, sampler: SamplerConfig, too_long: int) -> None:
        """`too_long`: how many tasks are left out for their prompts."""
        self.console.print(
            f"at most {sampler.max_tokens} tokens a completion, {sampler.max_prompt_tokens} a prompt"
        )
        if too_long:
            self.note(
                f"{too_long} tasks left out: their prompts are longer; raise sampler.max_prompt_tokens to keep them"
            )

    def weak(self, tasks: Sequence[str]) -> None:
        self.note(f"{len(tasks)} tasks left out: their tests are weak, says data.audit (such as {tasks[0]})")

    def left_out(self, reasons: Mapping[str, str]) -> None:
        """`reasons`: by the tasks' ids."""
        from tasks.grading.modes import summary  # loads all of tasks: not before there is something to say

        self.note(f"{len(reasons)} tasks left out, as no program could pass them: {summary(reasons)}")

    def note(self, text: str) -> None:
        self.console.print(f"[yellow]{text}[/]")

    def sampling(self, done: int, total: int) -> None:
        self._progress("sampling", done, total)

    def evaluating(self, done: int, total: int) -> None:
        self._progress("evaluating", done, total)

    def checking(self, done: int, total: int) -> None:
        self._progress("references of tasks that need a judge", done, total)

    @contextlib.contextmanager
    def warming(self, steps: int, what: str = "warm-up") -> Iterator[Callable[[int, float], None]]:
        """Progress of supervised training; every tenth of the way is printed where there is no terminal."""
        first: list[int] = []

        def on_step(step: int, loss: float) -> None:
            first.append(step)
            done = step - first[0] + 1
            if self.console.is_terminal:
                self._progress(what, done, steps)
            if done == steps or (not self.console.is_terminal and done % max(1, steps // 10) == 0):
                self.console.print(f"{what} {done:>5}/{steps}  loss {loss:.3f}")

        yield on_step

    def loss(self, epoch: int, training: float | None, held_out: float) -> None:
        """A line of the table of a supervised training."""
        learned = "" if training is None else f"  training loss {training:.4f}"
        self.console.print(f"epoch {epoch:>2}  held-out loss {held_out:.4f}{learned}")

    def step(self, step: int, steps: int, fields: dict[str, Any]) -> None:
        self.console.print(
            f"step {step:>4}/{steps}  reward {fields['reward_mean']:.3f}  pass {fields['pass_rate']:.3f}  "
            f"entropy {fields['entropy']:.3f}  kl {fields['kl_warm']:.4f}  compiles {fields['compile_rate']:.0%}  "
            f"cut {fields['truncated_rate']:.0%}  "
            f"rows {fields['learner_rows']}/{fields['rows']}  {fields['seconds_total']:.1f} s "
            f"(sample {fields['seconds_sample']:.1f}, grade +{fields['seconds_grade']:.1f}, "
            f"learn {fields['seconds_learn']:.1f})" + _overfit(fields)
        )

    def samples(self, batch: Batch) -> None:
        """The best and the worst completion of a telling group."""
        graded = sorted(
            (r for r in batch.telling.rollouts if r.reward is not None), key=lambda r: r.reward or 0.0
        )
        self.programs(graded[:1] + graded[1:][-1:])

    def programs(self, graded: Sequence[Rollout]) -> None:
        for rollout in graded:
            verdict = rollout.verdict
            why = f", {verdict.phase}" if verdict else ""
            why += f" ({verdict.error.type}: {verdict.error.message})" if verdict and verdict.error else ""
            head = printable(f"{rollout.task.id}, reward {rollout.reward:.2f}{why}:")
            self.console.print(f"  {head}", style="dim", markup=False)
            text = printable(rollout.text.strip("\n")).splitlines()
            shown = text[:SAMPLE_LINES] + (["..."] if len(text) > SAMPLE_LINES else [])
            self.console.print("\n".join(f"    {line}" for line in shown), markup=False)

    def evaluation(self, result: Evaluation) -> None:
        curve = "  ".join(f"pass@{k} {v:.3f}" for k, v in result.pass_at_k.items())
        self.console.print(
            f"[bold]{result.name}[/] step {result.step}: {result.tasks} tasks x {result.samples}  {curve}  "
            f"entropy {result.entropy:.3f}  compiles {result.compile_rate:.0%}"
        )
        self.cut(result.truncated_rate)

    def cut(self, rate: float) -> None:
        if rate > MANY_CUT:
            self.note(
                f"{rate:.0%} of the completions were cut by sampler.max_tokens: raise it, unless "
                "the model would not come to an end anyway"
            )
