"""Do our HumanEval+ verdicts agree with evalplus's own, on the outputs of a real model?

    python -m tests.conformance.agree_evalplus --work FOLDER [--samples 20] [--sanitized] [--backend NAME] [--slots N]
    python -m tests.conformance.agree_evalplus --work FOLDER --evaluation OUT     OUT: of coderl eval --preset evalplus

With --evaluation it takes what a model wrote in `coderl eval --preset evalplus --tasks humanevalplus=FILE --out OUT`, all of the data
set, and holds the whole way against evalplus's: our extraction and grading, its sanitizer and grading. Else it takes the first samples of each task from CodeT's CodeGen-16B completions (`$CODERL_DATA/codet_samples`) and grades each
twice: by our grader, after our extraction, and by `evalplus.eval.untrusted_check`, as prompt + completion; with --sanitized both
as evalplus's codegen would have kept them, by our sanitizer and by its own. evalplus runs programs in its own process, so
it is given a virtual environment of its own (FOLDER/venv, made by pip) and a bubblewrap jail without network that sees only
that environment, the data and FOLDER/out. What was done is kept in FOLDER and not done again.

Each difference is printed with both sides' evidence. Exit status 1: there is a difference that `EXPLAINED` does not name.
"""

from __future__ import annotations

import argparse
import difflib
import gzip
import json
import re
import subprocess
import sys
import time
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sandbox
from sandbox.protocol import Limits
from tasks.datasets import load
from tasks.extraction.answers import Answer
from tasks.extraction.extract import extract
from tasks.grading.grader import Grader
from tasks.types import Task
from tests.conformance.grade_references import DATA, SETS

SAMPLES = (
    DATA / "codet_samples" / "HumanEval_codegen16B_temp0.8_topp0.95_num100_max300_code_solution.jsonl.gz"
)
EVALPLUS = "0.3.1"
LIMITS = Limits(cpu_seconds=2, total_cpu_seconds=12)  # evalplus stops at the first second that is too long
EXPLAINED = {
    "HumanEval/32": "evalplus 0.3.1 skips the bookkeeping of find_zero's oracle, so that no program can pass",
}


def programs(tasks: list[Task], samples: int, *, sanitized: bool) -> Iterator[dict[str, Any]]:
    """The programs to grade. CodeT's file has its own order, and prompts without their examples."""
    left = {task.id: task for task in tasks}
    with gzip.open(SAMPLES, "rt", encoding="utf-8") as stream:
        for row in map(json.loads, stream):
            name = re.findall(r"def (\w+)\(", row["prompt"])[-1]
            alike = [task for task in left.values() if task.entry_point == name]
            task = max(alike, key=lambda t: difflib.SequenceMatcher(None, t.prompt, row["prompt"]).ratio())
            del left[task.id]
            for number, completion in enumerate(row["samples"][:samples]):
                identity = {"task_id": task.id, "sample": number}
                if sanitized:
                    head = f"{task.prompt.strip()}\n"
                    program = Answer.sanitized(head, completion, task).program
                    yield identity | {"raw": head + completion, "extracted": program}
                else:
                    program = extract(completion, task).program
                    yield identity | {"program": task.prompt + completion, "extracted": program}


def evaluated(tasks: list[Task], folder: Path) -> Iterator[dict[str, Any]]:
    """What a model wrote, as `coderl eval` kept it, and as evalplus's codegen would have."""
    report = json.loads((folder / "evaluation.json").read_text())
    (line,) = report["evaluations"]
    by_id, samples = {task.id: task for task in tasks}, Counter[str]()
    for row in map(json.loads, (folder / f"samples/{line['name']}.jsonl").read_text().splitlines()):
        task = by_id[row["task_id"]]
        head = f"{task.prompt.strip()}\n" if line["asked"]["style"] == "completion" else ""
        written = row["raw"].removeprefix(line["asked"]["answer_opening"] or "")
        yield {
            "task_id": task.id,
            "sample": samples[task.id],
            "raw": head + written,
            "extracted": row["solution"],
        }
        samples[task.id] += 1


def evalplus_verdicts(work: Path, name: str, rows: list[dict[str, Any]], seconds: int) -> list[bool]:
    """Whether evalplus passes each program, on base and plus inputs, given so many wall-clock seconds a test."""
    out = work / "out" / f"{name}.jsonl"
    if not out.exists():
        given = work / f"{name}-programs.jsonl"
        given.write_text("".join(json.dumps(row) + "\n" for row in rows))
        environment = _environment(work / "venv")
        out.parent.mkdir(exist_ok=True)
        base = Path(sys.base_prefix).resolve()
        mounts = [("/usr", "/usr"), (base, base), (environment, environment)]
        mounts += [((DATA / SETS["humanevalplus"].file).resolve(), "/data.jsonl.gz")]
        mounts += [
            (Path(__file__).with_name("evalplus_verdicts.py"), "/code.py"),
            (given.resolve(), "/programs.jsonl"),
        ]
        command = [
            "bwrap",
            "--unshare-all",
            "--die-with-parent",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
        ]
        command += [
            part for part in ("lib", "lib64", "bin") for part in ("--symlink", f"usr/{part}", f"/{part}")
        ]
        command += [str(part) for outside, inside in mounts for part in ("--ro-bind", outside, inside)]
        command += ["--bind", str(out.parent.resolve()), "/out"]
        command += [str(environment / "bin" / "python"), "/code.py", "/data.jsonl.gz", "/programs.jsonl"]
        subprocess.run([*command, "/out/.tmp.jsonl", "1", str(seconds)], check=True)
        (out.parent / ".tmp.jsonl").rename(out)
    found = [json.loads(line)["verdicts"] for line in out.read_text().splitlines()]
    return [[status for status, _ in verdicts] == ["pass", "pass"] for verdicts in found]


def _environment(folder: Path) -> Path:
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq"]
        subprocess.run([*pip, "--no-deps", f"evalplus=={EVALPLUS}"], check=True)
        packages = ["numpy", "psutil"]  # what evalplus.eval imports, and evalplus.sanitize
        packages += ["termcolor", "tqdm", "tree_sitter", "tree_sitter_python"]
        subprocess.run([*pip, *packages], check=True)
        (folder / "installed").touch()
    return folder.resolve()


def our_verdicts(
    work: Path, tasks: list[Task], rows: list[dict[str, Any]], backend: str, slots: int
) -> list[Any]:
    """Ours, in the order of the programs: `passed` and, for people, the first failed test."""
    out = work / "ours.jsonl"
    if not out.exists():
        by_id = {task.id: task for task in tasks}
        found: dict[int, dict[str, Any]] = {}
        started = time.monotonic()
        with sandbox.open_pool(slots, backend) as pool:
            items = ((by_id[row["task_id"]], row["extracted"], LIMITS) for row in rows)
            for index, verdict in Grader(pool).grade_all(items, window=16):
                failed = next((test for test in verdict.tests if not test.passed), None)
                why = f"{verdict.phase} {verdict.error or failed or verdict.detail}"
                found[index] = {
                    "passed": verdict.passed,
                    "why": why[:600],
                }
                if len(found) % 100 == 0:
                    print(
                        f"ours: {len(found)}/{len(rows)}, {time.monotonic() - started:.0f} s", file=sys.stderr
                    )
        out.write_text("".join(json.dumps(found[index]) + "\n" for index in range(len(rows))))
    return [json.loads(line) for line in out.read_text().splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--evaluation", type=Path)
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--slots", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    tasks = load(f"humanevalplus={DATA / SETS['humanevalplus'].file}")
    if options.evaluation:
        rows = list(evaluated(tasks, options.evaluation))
    else:
        rows = list(programs(tasks, options.samples, sanitized=options.sanitized))
    theirs = evalplus_verdicts(options.work, "evalplus", rows, seconds=1)
    ours = our_verdicts(options.work, tasks, rows, options.backend, options.slots)
    differing = [
        n for n, (their, our) in enumerate(zip(theirs, ours, strict=True)) if their is not our["passed"]
    ]
    # A busy host makes evalplus's limit of one wall-clock second fail right programs.
    patient = (
        evalplus_verdicts(options.work, "again", [rows[n] for n in differing], seconds=30)
        if differing
        else []
    )
    counts = {
        "programs": len(rows),
        "evalplus pass": sum(theirs),
        "ours pass": sum(bool(our["passed"]) for our in ours),
    }
    counts |= {"both pass": 0, "both fail": 0, "explained": 0, "different": 0}
    for number, our in enumerate(ours):
        if number not in differing:
            counts["both pass" if our["passed"] else "both fail"] += 1
    for number, again in zip(differing, patient, strict=True):
        row, our = rows[number], ours[number]
        reason = EXPLAINED.get(row["task_id"])
        if again is our["passed"]:
            reason = "evalplus agrees when given 30 s of wall-clock time a test instead of 1 s"
        counts["explained" if reason else "different"] += 1
        print(
            f"{row['task_id']} sample {row['sample']}: evalplus {theirs[number]}, ours {our['passed']}: {our['why']}"
        )
        print(f"    {reason or 'NOT EXPLAINED'}")
    print(json.dumps(counts))
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
