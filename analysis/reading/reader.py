"""Reading what a run left behind: a run folder (docs/run-folder.md), or a bare JSONL of verdicts.

A run may have been killed at any moment: what is half-written is skipped with a note that the report
shows. What cannot be read at all (missing, foreign, newer schema) raises `RunError` with the remedy.
Rows are streamed in batches, so that a run of any length fits in memory.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.errors import RunError
from analysis.reading.rows import TRAINING, Row, from_columns, from_verdict
from coderl.runfolder.layout import SCHEMA

BATCH_ROWS = 512
NEEDED_COLUMNS = frozenset({"task_id", "passed", "phase"})
# Columns that no analysis reads; `tokens` alone is most of a file.
UNREAD_COLUMNS = frozenset({"tokens", "logprob_sum", "advantage", "backend", "trust", "token_count"})

# What only the pages on single completions read, and measures that training rollouts have too few samples for.
TEXT_COLUMNS = frozenset({"prompt", "completion", "program", "tests", "blocks", "held_back_failed"})

_STEP_FILE = re.compile(r"(?:(?P<name>.+)-)?step-(?P<step>\d+)$")


@dataclass(slots=True)
class Run:
    """A run (or a verdict file) that was opened; nothing but its small files has been read yet.

    `notes` grows while rows are streamed: each is a sentence about something that was left out.
    """

    path: Path
    name: str
    config: str = ""
    info: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    evals: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_folder(self) -> bool:
        return self.path.is_dir()

    def note(self, text: str) -> None:
        if text not in self.notes:  # rows may be streamed more than once
            self.notes.append(text)

    def rows(
        self, only: Collection[tuple[str, int]] | None = None, *, brief_training: bool = False
    ) -> Iterator[Row]:
        """Every completion: training rollouts in step order, then evaluations by name and step.

        Args:
            only: keeps the (source, step) pairs in it; files that their name rules out are not opened.
            brief_training: training rollouts come without `TEXT_COLUMNS`, several times faster.
        """
        for row in self._all_rows(only, brief_training):
            if only is None or (row.source, row.step) in only:
                yield row

    def _all_rows(self, only: Collection[tuple[str, int]] | None, brief_training: bool) -> Iterator[Row]:
        if not self.is_folder:
            yield from _verdict_rows(self)
            return
        for folder in ("rollouts", "evals"):
            for path in _parquet_files(self, folder):
                match = _STEP_FILE.match(path.stem)
                name, step = (match["name"], int(match["step"])) if match else (path.stem, None)
                source = TRAINING if folder == "rollouts" else name or path.stem
                unread = UNREAD_COLUMNS | (TEXT_COLUMNS if brief_training and source == TRAINING else set())
                if only is None or step is None or (source, step) in only:
                    yield from _parquet_rows(self, path, source, unread)


def open_run(path: Path) -> Run:
    """Open a run folder, or a JSONL file of verdict rows (`.gz` allowed). Raises RunError."""
    if not path.exists():
        raise RunError(f"{path}: there is no such run folder or verdict file. Check the path.")
    if path.is_file():
        return _open_verdicts(path)
    if not any((path / name).exists() for name in ("run.json", "steps.jsonl")):
        raise RunError(
            f"{path}: not a run folder: it holds neither run.json nor steps.jsonl. "
            "Give the folder that `coderl train` wrote (runs/NAME), or a JSONL file of verdicts."
        )
    run = Run(path=path, name=path.name)
    _read_info(run)
    _read_config(run)
    _read_steps(run)
    return run


def _read_info(run: Run) -> None:
    path = run.path / "run.json"
    if not path.exists():
        run.note("run.json is missing: the run's versions and seed are unknown.")
        return
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        run.note(f"run.json cannot be read ({error}): the run's versions and seed are unknown.")
        return
    if not isinstance(info, dict) or not isinstance(info.get("schema"), int):
        raise RunError(f"{path}: has no integer `schema`: this is not coderl's run folder.")
    if info["schema"] > SCHEMA:
        raise RunError(
            f"{path}: schema {info['schema']} was written by a newer coderl; this one reads up to "
            f"schema {SCHEMA}. Upgrade coderl, then try again."
        )
    run.info = info
    run.name = str(info.get("name") or run.path.name)


def _read_config(run: Run) -> None:
    path = run.path / "config.toml"
    if path.exists():
        run.config = path.read_text(encoding="utf-8", errors="replace")
    else:
        run.note("config.toml is missing: the run's settings are unknown.")


def _read_steps(run: Run) -> None:
    """Lines by kind. A resumed run repeats the steps after its checkpoint: the later line counts."""
    path = run.path / "steps.jsonl"
    if not path.exists():
        run.note("steps.jsonl is missing: there are no training curves.")
        return
    kinds: dict[str, dict[tuple[object, ...], dict[str, Any]]] = {"step": {}, "eval": {}, "event": {}}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            record = _json_object(line)
            if record is None and not line.endswith("\n"):
                run.note(f"steps.jsonl: its last line ({number}) is half-written and was left out.")
            elif record is None or record.get("kind") not in kinds or not _is_step(record.get("step")):
                run.note(f"steps.jsonl, line {number}: not a step, eval or event record; left out.")
            else:
                key = _step_key(record, number)
                kinds[record["kind"]].pop(key, None)
                kinds[record["kind"]][key] = record
    run.steps = sorted(kinds["step"].values(), key=lambda record: record["step"])
    run.evals = sorted(kinds["eval"].values(), key=lambda record: record["step"])
    run.events = list(kinds["event"].values())


def _step_key(record: dict[str, Any], number: int) -> tuple[object, ...]:
    if record["kind"] == "event":
        return (number,)
    return (record["step"], record.get("name"))


def _is_step(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _parquet_files(run: Run, folder: str) -> list[Path]:
    found = sorted((run.path / folder).glob("*")) if (run.path / folder).is_dir() else []
    for path in found:
        if path.name.startswith(".tmp-"):
            run.note(f"{folder}/{path.name}: left unfinished by a killed run; not read.")
        elif path.suffix != ".parquet":
            run.note(f"{folder}/{path.name}: not a Parquet file; not read.")
    return [path for path in found if path.suffix == ".parquet" and not path.name.startswith(".tmp-")]


def _parquet_rows(run: Run, path: Path, source: str, unread: Collection[str]) -> Iterator[Row]:
    place = f"{path.parent.name}/{path.name}"
    try:
        with pq.ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            if (schema := _schema_of(file)) > SCHEMA:
                run.note(f"{place}: schema {schema} was written by a newer coderl; not read. Upgrade coderl.")
                return
            if missing := NEEDED_COLUMNS - names:
                run.note(f"{place}: lacks the columns {', '.join(sorted(missing))}; not read.")
                return
            columns = sorted(names.difference(unread))
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                for record in batch.to_pylist():
                    yield from_columns(record, source)
    except (pa.ArrowException, OSError) as error:
        run.note(f"{place}: half-written or damaged; the rest of it was not read ({_first_line(error)}).")


def _schema_of(file: pq.ParquetFile) -> int:
    """The run folder's schema that a file of rows was written for; files of others state none."""
    stated = (file.schema_arrow.metadata or {}).get(b"coderl_schema", b"")
    return int(stated) if stated.isdigit() else SCHEMA


def _open_verdicts(path: Path) -> Run:
    """Checks the first row at once, so that a foreign file is refused before any work is done."""
    run = Run(path=path, name=path.name)
    if next(_verdict_rows(run), None) is None:
        reason = run.notes[0] if run.notes else "it is empty"
        raise RunError(
            f"{path}: holds no verdict rows ({reason}) Each line must be a JSON object with at least "
            "`task_id` and `passed`: write one with `coderl grade --out`."
        )
    run.notes.clear()
    return run


def _verdict_rows(run: Run) -> Iterator[Row]:
    seen: Counter[str] = Counter()
    number = 0
    try:
        with _open_text(run.path) as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                record = _json_object(line)
                try:
                    if record is None:
                        raise TypeError("not a JSON object")
                    row = from_verdict(record, "verdicts", seen[str(record.get("task_id"))])
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    what = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
                    run.note(f"{run.path.name}, line {number}: {what}; left out.")
                    continue
                seen[row.task_id] += 1
                yield row
    except (OSError, EOFError, zlib.error) as error:
        run.note(
            f"{run.path.name}: damaged after line {number} ({_first_line(error)}); the rest was not read."
        )


def _open_text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
