"""What `coderl eval` says of an evaluation: which model, which data, and its text for a terminal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tasks.grading.modes import key
from tasks.types import Task


def model_revision(folder: Path) -> str | None:
    """The hub's commit of a folder in its cache; None for any other."""
    return folder.name if folder.parent.name == "snapshots" else None


def data_set_revision(tasks: Sequence[Task]) -> str:
    """Names the tasks that were evaluated: their ids, prompts, tests and references."""
    digest = hashlib.sha256()
    for task in tasks:
        digest.update(f"{task.id}\0{task.prompt}\0{key(task)}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]


def text(report: dict[str, Any]) -> str:
    return "\n".join(_lines(report))


def _lines(report: dict[str, Any]) -> Iterator[str]:
    model = report["model"]
    revision = f" at {model['revision'][:12]}" if model["revision"] else ""
    yield f"{model['name']}{revision}, {model['dtype']}, seed {report['seed']}, sandbox {report['sandbox']}"
    for line in report["evaluations"]:
        yield f"{line['data_set']}: {line['tasks']} tasks x {line['samples']}"
        yield "  " + "  ".join(_figures(line))
        yield f"  {_how(report, line)}"
        for reason, ids in line["left_out"].items():
            yield f"  left out: {len(ids)} tasks, {reason} (such as {ids[0]})"
        if line["infra_count"]:
            yield f"  not counted: {line['infra_count']} completions that the sandbox could not grade"


def _figures(line: dict[str, Any]) -> Iterable[str]:
    for k, value in line["pass_at_k"].items():
        low, high = line["pass_at_k_interval"][k]
        yield f"pass@{k} {value:.3f} [{low:.3f}, {high:.3f}]"
    yield f"compiles {line['compile_rate']:.1%}"
    yield f"cut {line['truncated_rate']:.1%}"


def _how(report: dict[str, Any], line: dict[str, Any]) -> str:
    decoding = line["decoding"]
    numbers = ", ".join(f"{name} {value:g}" for name, value in decoding.items() if name != "stop")
    stop = f", until one of {len(decoding['stop'])} strings" if decoding["stop"] else ""
    source = f"as {report['preset_source']}: " if report["preset_source"] else ""
    changed = f"; changed: {', '.join(line['changed'])}" if line["changed"] else ""
    return f"{source}by {line['asked']['style']}, {numbers}{stop}{changed}"
