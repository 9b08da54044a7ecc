"""The report of a study (`coderl reproduce`): claims against what was seen, with figures. From files alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from analysis.study import claims, figures, power
from analysis.study.claims import Finding, largest_k
from analysis.study.data import CONTROL, HELD_OUT, WARM, Study, distinct, passing, read, recurring
from analysis.study.effects import MARGIN
from analysis.study.transcripts import transcripts

__all__ = ["write"]


def write(folder: Path) -> Path:
    """Write `study-report.md`, `.json` and the figures into `folder`; returns the Markdown file's path.

    Raises `RunError` where `folder` is no finished study.
    """
    study = read(folder)
    findings = claims.judge(study)
    names = figures.write(study, folder)
    report = folder / "study-report.md"
    report.write_text("\n\n".join(_sections(study, findings, names)) + "\n")
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
    (folder / "study-report.json").write_text(json.dumps(_finite(rows), indent=1) + "\n")
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
        "## Final policies",
        _policy_table(study),
        *(f"![{name.removesuffix('.svg')}]({name})" for name in names),
        "## Transcripts",
        transcripts(study),
    ]


def _design(study: Study) -> str:
    final = study.description["final"]
    return (
        f"{len(study.arms)} arms, seeds {study.seeds}, from one warm model. Final evaluation: {final['tasks']} "
        f"held-out tasks, {final['samples']} samples each at temperature 1. Intervals: 95%, hierarchical bootstrap "
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
    ks = sorted({1, 8, largest_k(study)})
    head = [
        "policy",
        *(f"pass@{k}" for k in ks),
        "entropy",
        "compiles",
        "recurrence L2",
        "distinct errors in 10",
        "best temperature",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for arm in (WARM, CONTROL, *study.arms):
        summaries = [policy.summaries[HELD_OUT] for policy in study.of(arm)]
        values = [float(np.nanmean(study.matrix(arm, HELD_OUT, measure)[1])) for measure in map(passing, ks)]
        values += [float(np.mean([s[key] for s in summaries])) for key in ("entropy", "compile_rate")]
        values += [_mean(study.matrix(arm, HELD_OUT, measure)[1]) for measure in (recurring, distinct)]
        policies = {policy.name: policy for policy in study.of(arm)}
        best = ", ".join(str(policy.record.get("best_temperature")) for policy in policies.values())
        lines.append(f"| {arm} | " + " | ".join(f"{value:.3f}" for value in values) + f" | {best} |")
    return "\n".join(lines)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _finite(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """JSON has no NaN or infinity: they become null."""

    def clean(value: object) -> object:
        if isinstance(value, (list, tuple)):
            return [clean(each) for each in value]
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return [{key: clean(value) for key, value in row.items()} for row in rows]
