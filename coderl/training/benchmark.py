"""`coderl eval`: a model on data sets, asked and decoded as the configuration or another harness's preset says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from analysis.passk import pass_at_k_intervals, powers_of_two
from coderl.config.presets import PRESETS, Settings, overrides, settings_of
from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from coderl.model.named import model_folder
from coderl.model.policy import Policy, load_policy, load_tokenizer
from coderl.model.prompts import prompt_of, style_of
from coderl.rollouts.batch import Batch
from coderl.rollouts.collect import Collector
from coderl.rollouts.lengths import with_lengths
from coderl.rollouts.opening import open_collector, open_sandbox
from coderl.runfolder.files import make_folder
from coderl.runfolder.write import RunFolder, identity
from coderl.sampling.opening import require_sampler
from coderl.sampling.types import Drawing
from coderl.training.display import Display
from coderl.training.evaluate import counts_of, drawing_of, summarise
from coderl.training.reports import data_set_revision, model_revision, text
from tasks.datasets import DATASETS, load
from tasks.grading.grader import Grader
from tasks.grading.modes import checked
from tasks.types import Task
from tasks.validation.audits import read_audits, require_known

SAMPLES = 16  # of a task, without a preset; greedy 1
SUMMARY = "evaluation.json"

Configure = Callable[[Sequence[str]], RunConfig]
"""The configuration, with overrides that the user's own win over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command's options. `ks`: of pass@k; none: powers of two."""

    data_sets: Sequence[str]
    preset: str | None = None
    samples: int | None = None
    ks: Sequence[int] = ()
    limit: int | None = None
    out: Path | None = None
    overwrite: bool = False
    as_json: bool = False


@dataclass(slots=True)
class Part:
    """One data set: how its tasks are asked, and those left out, by the reason."""

    spec: str
    name: str
    preset: Settings
    config: RunConfig
    tasks: list[Task]
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def keep(self, kept: Callable[[Task], bool], reason: str) -> None:
        if others := [task.id for task in self.tasks if not kept(task)]:
            self.left_out[reason] = others
            self.tasks = [task for task in self.tasks if kept(task)]

    def require_tasks(self) -> None:
        if not self.tasks:
            why = "; ".join(f"{len(ids)} {reason}" for reason, ids in self.left_out.items())
            raise ConfigError(f"--tasks {self.spec}: no task is left: {why}")


def run_evaluation(configured: Configure, asked: Asked) -> dict[str, Any]:
    """Evaluate, print, and write `asked.out`; returns what `--json` prints.

    Raises:
        ConfigError: an option does not fit, no task is left, or `asked.out` holds such an evaluation.
        CoderlError, TaskError, SandboxError: as the parts of it do.
    """
    config, display = configured([]), Display()
    require_sampler(config.sampler)
    names = _names(asked.data_sets)
    if asked.out is not None:
        _require_free(asked.out, names, overwrite=asked.overwrite)
    folder = model_folder(config.model.path or "")
    parts = _parts(configured, asked, names, folder)
    policy = load_policy(folder, config.model)
    drawings = [drawing_of(part.config, policy) for part in parts]
    samples = _count(asked, drawings)
    if asked.out is not None:
        for name in ("evals", "samples"):
            make_folder(asked.out / name, "--out")
    with open_sandbox(config, [task for part in parts for task in part.tasks]) as runner:
        grader = Grader(runner)
        for part in parts:
            _leave_out_impassable(part, grader, display)
        collector = open_collector(parts[0].config, folder, policy, grader, display.note)
        lines = [
            _evaluate(part, collector, drawing, samples, asked, display)
            for part, drawing in zip(parts, drawings, strict=True)
        ]
        report = _head(config, asked, folder, policy, runner.backend) | {"evaluations": lines}
    if asked.out is not None:
        RunFolder(asked.out).write_text(SUMMARY, json.dumps(report, indent=1) + "\n")
    print(json.dumps(report) if asked.as_json else text(report))
    return report


def _names(specs: Sequence[str]) -> list[str]:
    """What the files of each data set are called."""
    names = []
    for spec in specs:
        known = spec.partition("=")[0]
        name = known if known in DATASETS else Path(spec).name.removesuffix(".gz").removesuffix(".jsonl")
        names.append(re.sub(r"[^\w.]+", "-", name))
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"--tasks: two data sets are called {twice[0]}; evaluate them one by one")
    return names


def _require_free(out: Path, names: Sequence[str], *, overwrite: bool) -> None:
    files = [out / SUMMARY]
    for name in names:
        files += [out / _samples(name), out / f"evals/{name}-step-000000.parquet"]
    if not overwrite and (there := [file for file in files if file.exists()]):
        raise ConfigError(f"--out: {there[0]} is there already; name another folder, or add --overwrite")


def _samples(name: str) -> str:
    """The data set's file in --out."""
    return f"samples/{name}.jsonl"


def _parts(configured: Configure, asked: Asked, names: Sequence[str], folder: Path) -> list[Part]:
    """The data sets, loaded, with lengths that fit all of them together."""
    tokenizer, parts = load_tokenizer(folder), []
    chat = style_of(tokenizer, configured([]).model) != "completion"
    for spec, name in zip(asked.data_sets, names, strict=True):
        source = spec.partition("=")[0]
        preset = settings_of(asked.preset, source, chat=chat) if asked.preset else {}
        tasks = load(spec, split="held-out", limit=asked.limit)
        parts.append(Part(spec, name, preset, configured(overrides(preset)), tasks))
    everything = [task for part in parts for task in part.tasks]
    paths = parts[0].config.data.audit
    audits = read_audits(paths)
    require_known(everything, audits, paths)
    for part in parts:
        part.keep(lambda task: not audits.is_weak(task), "weak tests, says data.audit")
    fitted = with_lengths(parts[0].config, folder, [task for part in parts for task in part.tasks]).sampler
    lengths = {"max_tokens": fitted.max_tokens, "max_prompt_tokens": fitted.max_prompt_tokens}
    for part in parts:
        sampler = part.config.sampler.model_copy(update=lengths)
        part.config = part.config.model_copy(update={"sampler": sampler})
        part.keep(_fits(tokenizer, part.config), f"prompts over {fitted.max_prompt_tokens} tokens")
        part.require_tasks()
    return parts


def _fits(tokenizer: Any, config: RunConfig) -> Callable[[Task], bool]:
    limit = config.sampler.max_prompt_tokens
    return lambda task: len(prompt_of(task, tokenizer, config.model).tokens) <= limit


def _count(asked: Asked, drawings: Sequence[Drawing]) -> int:
    """How many completions of a task."""
    greedy = any(drawing.temperature == 0 for drawing in drawings)
    usual = PRESETS[asked.preset].samples if asked.preset else 1 if greedy else SAMPLES
    samples = asked.samples or usual
    if greedy and samples > 1:
        raise ConfigError(
            f"--samples {samples}: at temperature 0 all completions of a task are the same; set eval.temperature, or "
            "give --samples 1"
        )
    if asked.ks and max(asked.ks) > samples:
        raise ConfigError(f"--k {max(asked.ks)}: needs as many completions a task; give --samples")
    return samples


def _leave_out_impassable(part: Part, grader: Grader, display: Display) -> None:
    passable = checked(part.tasks, grader, part.config.grading.in_process, display.checking)
    for task_id, reason in passable.left_out.items():
        part.left_out.setdefault(reason, []).append(task_id)
    part.tasks = passable.tasks
    part.require_tasks()


def _evaluate(
    part: Part, collector: Collector, drawing: Drawing, samples: int, asked: Asked, display: Display
) -> dict[str, Any]:
    """One data set's part of the report."""
    policy = replace(collector.policy, config=part.config.model)
    batch = replace(collector, config=part.config, policy=policy).collect(
        part.tasks,
        samples,
        step=0,
        stream=f"eval/{part.name}",
        drawing=drawing,
        on_progress=display.evaluating,
    )
    result = summarise(batch, part.name, samples)
    found = pass_at_k_intervals(counts_of(batch), asked.ks or powers_of_two(samples))
    record = result.record() | {
        "pass_at_k": {str(k): estimate.value for k, estimate in found.items()},
        "pass_at_k_interval": {str(k): [estimate.low, estimate.high] for k, estimate in found.items()},
    }
    display.cut(result.truncated_rate)
    if asked.out is not None:
        folder = RunFolder(asked.out)
        folder.write_evaluation(part.name, batch)
        folder.write_text(_samples(part.name), "".join(_sample_lines(batch)))
        folder.log("eval", 0, **asdict(drawing), **record)
    sampler, model = part.config.sampler, part.config.model
    changed = {key: attrgetter(key)(part.config) for key in part.preset}
    return {
        "data_set": part.spec,
        "revision": data_set_revision(part.tasks),
        **record,
        "decoding": asdict(drawing)
        | {"max_tokens": sampler.max_tokens, "max_prompt_tokens": sampler.max_prompt_tokens},
        "asked": {
            "style": style_of(policy.tokenizer, model),
            **model.model_dump(include={"system_prompt", "prompt_template", "answer_opening"}),
            "extraction": part.config.grading.extraction,
        },
        "changed": {key: value for key, value in changed.items() if value != part.preset[key]},
        "left_out": part.left_out,
    }


def _sample_lines(batch: Batch) -> list[str]:
    """As evalplus reads them; `raw` is what the model wrote."""
    return [
        json.dumps({"task_id": r.task.id, "solution": r.program or "", "raw": r.text}) + "\n"
        for r in batch.rollouts
    ]


def _head(config: RunConfig, asked: Asked, folder: Path, policy: Policy, backend: str) -> dict[str, Any]:
    return {
        "model": {
            "name": config.model.path,
            "folder": str(folder),
            "revision": model_revision(folder),
            "dtype": str(policy.model.dtype).removeprefix("torch."),
        },
        "preset": asked.preset,
        "preset_source": PRESETS[asked.preset].source if asked.preset else None,
        "seed": config.seed,
        "versions": identity(config, [])["versions"],
        "sandbox": backend,
    }
