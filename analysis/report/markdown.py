"""The summary for pull requests and terminals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from analysis.report.html import count, interval, number, p_value, signed

ISSUES_SHOWN = 20
TASKS_SHOWN = 20


def summary(page: Mapping[str, Any]) -> str:
    """Markdown of the page: notes, evaluations, measures, changes and the most frequent errors."""
    columns = [column["label"] for column in page["columns"]]
    parts = [f"# {_text(page['title'])}", *(f"> Note: {_text(note)}" for note in page["notes"])]
    parts += ["## Evaluations", _evaluations(page["evaluations"])] if page["evaluations"] else []
    parts += ["## Measures", _measures(page["measures"], columns)] if page["measures"] else []
    parts += [_change(change, columns[0]) for change in page["changes"]]
    if page["arms"]:
        parts += ["## Configurations over seeds", _arms(page["arms"])]
    if equal := page["equal_pass_at_1"]:
        parts += [f"## At equal pass@1 = {number(equal['pass_at_1'])}", _equal(equal)]
    parts += ["## Errors", _issues(page["issues"], columns)]
    if page["choosing"]:
        parts += ["## Tasks by pass rate", *map(_choosing, page["choosing"])]
    if page["overfitting"]:
        parts += ["## Overfitting", *map(_overfitting, page["overfitting"])]
    return "\n\n".join(parts) + "\n"


def _evaluations(rows: Sequence[Mapping[str, Any]]) -> str:
    ks = sorted({int(k) for row in rows for k in row["pass_at_k"]})
    header = ["Evaluation", "Step", "Tasks", *(f"pass@{k}" for k in ks), "Compile", "Infra"]
    body = (
        [
            row["name"],
            str(row["step"]),
            count(row["tasks"]),
            *(_estimate(row["pass_at_k"].get(str(k))) for k in ks),
            number(row["compile_rate"]),
            count(row["infra"]),
        ]
        for row in rows
    )
    return _table(header, body)


def _measures(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    header = ["Measure", *columns, *(f"{label} - {columns[0]}" for label in columns[1:])]
    body = (
        [row["name"], *map(_estimate, row["values"]), *map(_difference, row["differences"])] for row in rows
    )
    return _table(header, body)


def _change(change: Mapping[str, Any], base: str) -> str:
    tasks = [*(f"+{task}" for task in change["gained"]), *(f"-{task}" for task in change["lost"])]
    shown = ", ".join(map(_code, tasks[:TASKS_SHOWN])) + (" …" if len(tasks) > TASKS_SHOWN else "")
    text = _text(
        f"{change['column']} against {base}, {change['shared_tasks']} tasks: "
        f"{len(change['gained'])} tasks newly solved ({len(change['clearly_gained'])} beyond chance), "
        f"{len(change['lost'])} no longer solved ({len(change['clearly_lost'])} beyond chance; "
        f"McNemar {p_value(change['mcnemar_p'])}); errors: {change['fixed']} fixed, "
        f"{change['introduced']} introduced, {change['persistent']} persistent."
    )
    return f"{text} {shown}".rstrip()


def _arms(arms: Sequence[Mapping[str, Any]]) -> str:
    ks, base = list(arms[0]["pass_at_k"]), arms[0]["label"]
    header = ["Configuration", "Runs", *(f"pass@{k}" for k in ks), *(f"pass@{k} - {base}" for k in ks)]
    body = (
        [
            arm["label"],
            str(len(arm["runs"])),
            *(_estimate(arm["pass_at_k"][k]) for k in ks),
            *(_gap(arm["differences"].get(k)) for k in ks),
        ]
        for arm in arms
    )
    return _table(header, body)


def _equal(equal: Mapping[str, Any]) -> str:
    header = ["Run", f"pass@{equal['k']}", "Step", "KL from the warm model"]
    body = (
        [row["run"], number(row["value"]), number(row["step"]), number(row["kl"])] for row in equal["rows"]
    )
    return _table(header, body)


def _issues(issues: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    if not issues:
        return "No failures."
    header = ["Error", "Line", "All", "Tasks", *columns]
    body = (
        [_code(issue["title"]), _code(issue["source"])]
        + [count(n) for n in (issue["count"], issue["tasks"], *issue["columns"])]
        for issue in issues[:ISSUES_SHOWN]
    )
    more = len(issues) - ISSUES_SHOWN
    return _table([*map(_text, header)], body, cell=str) + (
        f"\n\n{more:,} more are in the HTML and JSON reports." if more > 0 else ""
    )


def _choosing(part: Mapping[str, Any]) -> str:
    said = (
        f"{part['run']}: groups with signal {number(part['signal_rate'])}; mean pass rate of the tasks chosen: "
        f"expected {number(part['expected'])}, seen {number(part['observed'])}."
    )
    body = ([str(row["step"]), *map(count, row["tasks"])] for row in part["rows"])
    return f"{_text(said)}\n\n{_table(['Step', *part['kinds']], body)}"


def _overfitting(part: Mapping[str, Any]) -> str:
    said = _text(
        f"{part['run']}: {count(part['failed'])} of {count(part['graded_again'])} completions that pass the rewarded "
        f"tests fail tests held back from the reward ({part['rate']:.1%})."
    )
    if not part["programs"]:
        return said
    body = (
        [
            _code(entry["task"]),
            count(entry["count"]),
            f"{entry['first_step']}-{entry['last_step']}",
            *(
                _code(entry["tests"][0][key]) if entry["tests"] else ""
                for key in ("name", "expected", "actual")
            ),
        ]
        for entry in part["programs"][:ISSUES_SHOWN]
    )
    header = ["Task", "Completions", "Steps", "Held-back test", "Expected", "Actual"]
    return f"{said}\n\n{_table(header, body, cell=str)}"


def _estimate(estimate: Mapping[str, Any] | None) -> str:
    return "-" if estimate is None else f"{number(estimate['value'])} {interval(estimate)}".rstrip()


def _difference(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else f"{signed(found['value'])} {interval(found)} {p_value(found['p'])}"


def _gap(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else f"{signed(found['value'])} {interval(found)}"


def _table(
    header: Sequence[str], body: Iterable[Sequence[str]], cell: Callable[[str], str] | None = None
) -> str:
    """`cell` makes a cell's text safe; by default all of them are plain text."""
    safe = cell or _text
    lines = [[*map(safe, header)], ["---"] * len(header), *([*map(safe, line)] for line in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """One line as a code span, where no markup, address, @name or #number is taken for one."""
    line = " ".join(text.split())
    if not line:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return fence + pad + line.replace("|", "\\|") + pad + fence


def _text(text: str) -> str:
    """One line in which nothing is markup: Markdown's and HTML's own characters are escaped."""
    return re.sub(r"([\\`*_{}\[\]<>()#|!~&])", r"\\\1", " ".join(text.split()))
