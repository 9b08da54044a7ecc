"""Rows of a dataset, typed access to their fields, and the way from rows to tasks.

Local files (here) and the hub (tasks/datasets/hub.py) give the same `Row`s: no parser knows where its rows
came from.
"""

from __future__ import annotations

import ast
import gzip
import json
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tasks.errors import TaskError
from tasks.types import Task


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `index` counts from 0 within its file or split; `where` names it in errors."""

    data: dict[str, Any]
    dataset: str
    index: int
    where: str

    def fail(self, field: str, problem: str, remedy: str = "") -> NoReturn:
        """Raise the `TaskError` for a malformed `field`."""
        remedy = remedy or f"Fix or remove this row; it must have the shape of the {self.dataset} dataset."
        raise TaskError(f"{self.where}: field {field!r}: {problem}. {remedy}")

    def text(self, field: str) -> str:
        """A string that must be there."""
        value = self.data.get(field)
        if not isinstance(value, str):
            self.fail(field, "missing" if value is None else f"expected a string, got {_kind(value)}")
        return value

    def optional_text(self, field: str) -> str:
        """A string; empty where it is absent or null."""
        return "" if self.data.get(field) is None else self.text(field)

    def texts(self, field: str) -> list[str]:
        """A list of strings; empty where it is absent or null."""
        value = self.data.get(field)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(field, f"expected a list of strings, got {_kind(value)}")
        return value

    def items(self, field: str) -> list[Any]:
        """A list that must be there."""
        value = self.data.get(field)
        if not isinstance(value, list):
            self.fail(field, "missing" if value is None else f"expected a list, got {_kind(value)}")
        return value

    def mapping(self, field: str) -> dict[str, Any]:
        """An object, or JSON text or a Python literal of one; empty where it is absent, null or blank."""
        value = self.structure(field)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fail(field, f"expected an object, got {_kind(value)}")
        return value

    def structure(self, field: str) -> Any:
        """A value that some datasets write as JSON text or as a Python literal; None where blank."""
        value = self.data.get(field)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return literal(value)
        except ValueError as error:
            self.fail(field, f"neither JSON nor a Python literal ({error})")

    def identity(self, field: str) -> str:
        """The dataset's own id, as a string."""
        value = self.data.get(field)
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            self.fail(
                field, "missing" if value is None else f"expected a string or an int, got {_kind(value)}"
            )
        return str(value)

    def positional_id(self) -> str:
        """The id of a row of a dataset that has none: its place (from 0) in the file or split."""
        return f"{self.dataset}/{self.index}"


@dataclass(frozen=True, slots=True)
class Skip:
    """A row that is well formed but gives no task, and why."""

    reason: str


def literal(text: str) -> Any:
    """The value of JSON text or, failing that, of a Python literal. Raises `ValueError` for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings(action="ignore"):  # of invalid escapes, which datasets have
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}"[:200]) from None


def read_rows(path: Path, dataset: str) -> Iterator[Row]:
    """Rows of a local file: JSON lines or one JSON array of objects, plain or gzipped."""
    text = read_text(path)
    if text.lstrip().startswith("["):
        yield from _array_rows(text, path, dataset)
        return
    index = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield Row(_object(line, where), dataset, index, where)
            index += 1


def read_text(path: Path) -> str:
    """The text of a local file, unzipped where it is gzipped. Raises `TaskError`."""
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise TaskError(f"{path}: no such file. Check the path.") from None
    except OSError as error:
        raise TaskError(
            f"{path}: cannot be read ({error.strerror or error}). Give a readable file."
        ) from None
    except (EOFError, zlib.error):
        raise TaskError(f"{path}: the gzip file is damaged or cut off. Fetch it again.") from None
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{path}: not UTF-8 text (byte {error.start}). Give JSON lines or a JSON array."
        ) from None


def _array_rows(text: str, path: Path, dataset: str) -> Iterator[Row]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TaskError(f"{path}: not a JSON array ({error}). Give JSON lines or one JSON array.") from None
    for index, data in enumerate(rows):
        where = f"{path}, item {index + 1}"
        if not isinstance(data, dict):
            raise TaskError(f"{where}: expected an object, got {_kind(data)}. Each item must be one row.")
        yield Row(data, dataset, index, where)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TaskError(f"{where}: not JSON ({error}). Each line must hold one JSON object.") from None
    if not isinstance(data, dict):
        raise TaskError(
            f"{where}: expected an object, got {_kind(data)}. Each line must hold one JSON object."
        )
    return data


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number"}
    return names.get(type(value), repr(value)[:40])


def collect(
    name: str, rows: Iterable[Row], parse: Callable[[Row], Task | Skip], limit: int | None = None
) -> list[Task]:
    """The tasks of `rows`, at most `limit`, ids unique. Rows left out are counted on standard error."""
    tasks: dict[str, Task] = {}
    left_out: Counter[str] = Counter()
    for row in rows:
        if limit is not None and len(tasks) >= limit:
            break
        task = parse(row)
        if isinstance(task, Skip):
            left_out[task.reason] += 1
        elif task.id in tasks:
            left_out["an earlier row has the same id"] += 1
        else:
            tasks[task.id] = task
    for reason, count in left_out.items():
        print(f"{name}: left out {count} row{'s' * (count > 1)}: {reason}", file=sys.stderr)
    if not tasks:
        raise TaskError(f"{name}: no problems found. Check the file, the split and the limit.")
    return list(tasks.values())
