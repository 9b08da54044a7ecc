"""The report of a study (`coderl reproduce`): each claim with its difference and verdict, and figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from analysis.study import claims, figures, matched, power
from analysis.study.claims import Finding, largest_k
from analysis.study.data import Measure, Study, correcting, distinct, harming, passing, read, recurring
from analysis.study.effects import MARGIN
from analysis.study.transcripts import transcripts
from coderl.runfolder.layout import BEST, HELD_OUT, TRAINING_TASKS, WARM
from tasks.files import write_text

__all__ = ["write"]


def write(folder: Path) -> Path:
    """Write `study-report.md`, `.json` and the figures into `folder`; returns the Markdown file's path.

    Raises `RunError` where `folder` is no finished study.
    """
    study = read(folder)
    findings = claims.judge(study)
    names = figures.write(study, folder)
    report = folder / "study-report.md"
    write_text(report, "\n\n".join(_sections(study, findings, names)) + "\n")
    rows = [
        {
            "claim": f.claim.text,
            "expected": f.claim.expected,
            "verdict": f.verdict,
            "control": f.claim.control,
        }
        | asdict(f.effect)
        for f in findings
    ]
    write_text(folder / "study-report.json", json.dumps(_finite(rows), indent=1) + "\n")
    return report


def _sections(study: Study, findings: list[Finding], names: list[str]) -> list[str]:
    collapsed = [p.name for p in study.policies.values() if p.record.get("collapsed")]
    return [
        f"# Study: {study.description['name']}",
        _design(study),
        "Collapsed: " + (", ".join(collapsed) if collapsed else "none") + ".",
        "## Claims",
        _claim_table([f for f in findings if not f.claim.control]),
        "## Controls",
        _claim_table([f for f in findings if f.claim.control]),
        matched.RULE,
        "## Final policies",
        _policy_table(study),
        *(f"![{name.removesuffix('.svg')}]({name})" for name in names),
        "## Transcripts",
        transcripts(study),
        "## Made with",
        _made_with(study),
    ]


def _design(study: Study) -> str:
    final = study.description["final"]
    once = "".join(f" ({arm}: the first only)" for arm in study.description["once"])
    return (
        f"{len(study.arms)} arms, seeds {study.seeds}{once}, from one warm model. Final evaluation: {final['tasks']} "
        f"held-out tasks, {final['samples']} samples each at temperature {final.get('temperature', 1.0):g}. "
        "Intervals: 95%, hierarchical bootstrap "
        'over seeds and tasks. "Undecided" unless three seeds agree and the interval excludes zero; "the same" '
        f"means within {MARGIN:g}. {power.state(study.folder, final['samples'])}"
    )


def _claim_table(findings: list[Finding]) -> str:
    lines = ["| claim | verdict | difference | 95% interval | by seed |", "|---|---|---|---|---|"]
    for finding in findings:
        effect = finding.effect
        seeds = ", ".join(f"{value:+.3f}" for value in effect.by_seed)
        interval = f"{effect.low:+.4f} to {effect.high:+.4f}"
        lines.append(
            f"| {finding.claim.text} | {finding.verdict} | {effect.value:+.4f} | {interval} | {seeds} |"
        )
    return "\n".join(lines)


def _policy_table(study: Study) -> str:
    """A row an arm, means over its seeds; held-out tasks where a column says nothing else."""
    k, best, training = (largest_k(study, each) for each in (HELD_OUT, BEST, TRAINING_TASKS))
    columns: dict[str, tuple[str, Measure]] = {
        **{
            f"pass@{each}": (HELD_OUT, passing(each))
            for each in sorted({1, 8, k, study.description["final"]["samples"]})
        },
        **{f"pass@{each}, {name}": (name, passing(each)) for name in study.others for each in (1, k)},
        **({f"pass@{best}, best temperature": (BEST, passing(best))} if study.tempered else {}),
        "pass@1, training tasks": (TRAINING_TASKS, passing(1)),
        f"pass@{training}, training tasks": (TRAINING_TASKS, passing(training)),
        "recurrence L2": (HELD_OUT, recurring),
        "distinct errors in 10": (HELD_OUT, distinct),
        "self-correction": (HELD_OUT, correcting),
        "harm": (HELD_OUT, harming),
    }
    others = ["entropy", "compiles", "KL a step / 1e-4", "KL from warm"]
    others += ["best temperature by seed"] if study.tempered else []
    lines = [
        "| policy | " + " | ".join([*columns, *others]) + " |",
        "|---" * (1 + len(columns) + len(others)) + "|",
    ]
    for arm in (*study.controls, *study.arms):
        policies = list({policy.name: policy for policy in study.of(arm)}.values())
        cells = [f"{_mean(study.matrix(arm, *column)[1]):.3f}" for column in columns.values()]
        for key in ("entropy", "compile_rate"):
            cells.append(f"{np.mean([p.summaries[HELD_OUT][key] for p in policies]):.3f}")
        steps = [policy.steps for policy in policies if policy.steps]
        cells.append(f"{np.mean([_logged(run, 'kl_step') for run in steps]) * 1e4:.2f}" if steps else "")
        cells.append(f"{np.mean([_logged(run[-5:], 'kl_warm') for run in steps]):.3f}" if steps else "")
        if study.tempered:
            cells.append(", ".join(str(policy.record.get("best_temperature")) for policy in policies))
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _logged(steps: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([line[key] for line in steps if line.get(key) is not None] or [0.0]))


def _made_with(study: Study) -> str:
    warm = study.policies[WARM]
    versions = {"python": warm.info.get("python"), **(warm.info.get("versions") or {})}
    hours = sum(policy.record["seconds"] for policy in study.policies.values()) / 3600
    machine = warm.info.get("machine") or {}
    return (
        f"{machine.get('cpus')} cores ({machine.get('system')}); "
        + ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        + f"; {hours:.2f} hours of work, {study.description.get('jobs', 1)} processes at once, the warm model's apart."
    )


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _finite(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """JSON has no NaN or infinity: they become null."""

    def clean(value: object) -> object:
        if isinstance(value, (list, tuple)):
            return [clean(each) for each in value]
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return [{key: clean(value) for key, value in row.items()} for row in rows]
