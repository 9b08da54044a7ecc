"""The rows of a file of completions, whatever form it has.

    JSON lines   an object a line
    JSON array   objects (LiveCodeBench's code_list); or, in the order of the tasks, texts or lists of texts (bigcode's
                 generations)
    JSON object  a task's id to its text or texts
    Parquet      a column a field
    folder       TASK_ID/0.py, as evalplus writes

All but folders also gzipped, and from standard input (`-`). Each row is made an object with `task_id` (or another name
of it, see completions.py) and the texts.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import TaskError

STANDARD_INPUT = "-"
Place = tuple[str, dict[str, Any] | TaskError]
"""Where a row stands, and the row, or why there is none."""


@dataclass(frozen=True, slots=True)
class Source:
    """`form`: what it is, for people."""

    form: str
    rows: Iterator[Place]


def read_source(name: str, ids: Sequence[str], fields: frozenset[str]) -> Source:
    """The rows of the file or folder `name`; `ids` are the tasks', `fields` what rows may hold.

    Raises `TaskError` where it cannot be read as a whole; a row that cannot is given as one, in its place.
    """
    if name != STANDARD_INPUT and Path(name).is_dir():
        return Source("a folder of programs, as evalplus writes it", _of_folder(Path(name), ids))
    where = "standard input" if name == STANDARD_INPUT else name
    data, unzipped = _read(name)
    form, rows = _of_bytes(data, where, ids, fields)
    return Source(f"{form}{', gzipped' if unzipped else ''}", rows)


def _read(name: str) -> tuple[bytes, bool]:
    """The bytes, and whether they were gzipped."""
    try:
        data = sys.stdin.buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()
        if name.endswith(".gz") or data.startswith(b"\x1f\x8b"):
            return gzip.decompress(data), True
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TaskError(
            f"--completions {name}: cannot be read ({reason}); give a file or a folder of completions, - for standard "
            "input, or 'reference'"
        ) from None
    return data, False


def _of_bytes(
    data: bytes, where: str, ids: Sequence[str], fields: frozenset[str]
) -> tuple[str, Iterator[Place]]:
    if data.startswith(b"PAR1"):
        return "Parquet", _of_parquet(data, where)
    whole = _document(data)
    if isinstance(whole, list) and whole and all(isinstance(item, (str, list)) for item in whole):
        return "a JSON array of texts by task, as bigcode's generations", _of_texts(whole, where, ids)
    if isinstance(whole, list) and whole and all(isinstance(item, dict) for item in whole):
        return "a JSON array", ((f"{where}, item {n}", row) for n, row in enumerate(whole, start=1))
    if isinstance(whole, dict) and whole and not whole.keys() & fields:
        places = ((f"{where}, key {key!r}", key, value) for key, value in whole.items())
        rows = ((place, {"task_id": key, "completion": value}) for place, key, value in places)
        return "a JSON object of texts by task", rows
    return "JSON lines", _of_lines(data, where)


def _document(data: bytes) -> Any:
    """The one JSON value that `data` is; None where it is none, as JSON lines are not."""
    try:
        return json.loads(data) if data.lstrip()[:1] in (b"[", b"{") else None
    except (ValueError, RecursionError):
        return None


def _of_lines(data: bytes, where: str) -> Iterator[Place]:
    for number, line in enumerate(io.BytesIO(data.removeprefix(codecs.BOM_UTF8)), start=1):
        if line.strip():
            place = f"{where}, line {number}"
            yield place, _object(line, place)


def _object(line: bytes, where: str) -> dict[str, Any] | TaskError:
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not JSON"
        return TaskError(f"{where}: {reason} ({error}); write one object a line: task_id, completion")
    if not isinstance(row, dict):
        return TaskError(f"{where}: a {type(row).__name__}, not an object with task_id and completion")
    return row


def _of_texts(texts: Sequence[Any], where: str, ids: Sequence[str]) -> Iterator[Place]:
    if len(texts) > len(ids):
        raise TaskError(
            f"--completions {where}: holds texts for {len(texts)} tasks by their order, and there are {len(ids)} "
            "tasks; give the data set that they were made for, or write rows with task_id"
        )
    for number, (task_id, text) in enumerate(zip(ids, texts, strict=False), start=1):
        yield f"{where}, item {number}", {"task_id": task_id, "generations": text}


def _of_parquet(data: bytes, where: str) -> Iterator[Place]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{where}, row {number}", row
    except (pa.ArrowException, OSError) as error:
        raise TaskError(
            f"--completions {where}: damaged Parquet after row {number} ({str(error).splitlines()[0]}); write it again"
        ) from None


def _of_folder(folder: Path, ids: Sequence[str]) -> Iterator[Place]:
    names = {task_id.replace("/", "_"): task_id for task_id in ids}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(place.glob("*.py"), key=lambda file: (len(file.stem), file.stem))
        texts = [file.read_text(encoding="utf-8", errors="surrogateescape") for file in files]
        yield str(place), {"task_id": names.get(place.name, place.name), "solution": texts}
