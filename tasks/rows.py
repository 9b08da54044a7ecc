"""Rows of a dataset, typed access to their fields, and the way from rows to tasks.

Local files (here) and the hub (tasks/datasets/hub.py) give the same `Row`s: no parser knows where its rows
came from.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tasks.errors import TaskError
from tasks.parsing import integer, json_value, literal
from tasks.types import Task

MAX_NAMED = 20  # rows in error, of one file; the rest are counted

_SEPARATORS = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()
_LONG_DECODER = json.JSONDecoder(parse_int=integer)


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


def read_rows(path: Path, dataset: str) -> Iterator[Row | TaskError]:
    """Rows of a local file: JSON lines or one JSON array of objects, plain or gzipped.

    Raises `TaskError` for a file that cannot be read; a row that cannot is given as one, in its place.
    """
    text = read_text(path)
    places = _items(text, path) if _is_array(text) else _lines(text, path)
    for index, (where, item) in enumerate(places):
        yield item if isinstance(item, TaskError) else Row(item, dataset, index, where)


def read_text(path: Path) -> str:
    """The text of a local file, unzipped where it is gzipped; bytes that are not UTF-8 as lone surrogates.

    Raises `TaskError`.
    """
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig", "surrogateescape")
    except FileNotFoundError:
        raise TaskError(f"{path}: no such file. Check the path.") from None
    except OSError as error:
        raise TaskError(
            f"{path}: cannot be read ({error.strerror or error}). Give a readable file."
        ) from None
    except (EOFError, zlib.error):
        raise TaskError(f"{path}: the gzip file is damaged or cut off. Fetch it again.") from None


Place = tuple[str, dict[str, Any] | TaskError]


def _is_array(text: str) -> bool:
    """Whether `text` begins an array; not one that ends with the first line, and more lines follow."""
    first, _, others = text.strip().partition("\n")
    return first.startswith("[") and not (others and first.rstrip().endswith("]"))


def _lines(text: str, path: Path) -> Iterator[Place]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield where, _object(line, where)


def _object(line: str, where: str) -> dict[str, Any] | TaskError:
    try:
        return _undecodable(line, where) or _row(json_value(line), where)
    except (ValueError, RecursionError) as error:
        return _not_json(where, error)


def _items(text: str, path: Path) -> Iterator[Place]:
    """The items of a JSON array. After one that is not JSON, the next that begins a line as the first one did."""
    position, number = _blank(text, text.index("[") + 1), 0
    next_row = re.compile(rf"^{_indent(text, position)}(?={{)", re.MULTILINE)
    while position < len(text) and text[position] != "]":
        number += 1
        where = f"{path}, item {number}"
        try:
            value, end = _decode(text, position)
        except (ValueError, RecursionError) as error:
            yield where, _not_json(where, error)
            found = next_row.search(text, position + 1)
            position = found.end() if found else len(text)
        else:
            yield where, _undecodable(text[position:end], where) or _row(value, where)
            position = _blank(text, end)


def _blank(text: str, position: int) -> int:
    """The first place from `position` on that is neither white space nor a comma."""
    return _SEPARATORS.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too


def _indent(text: str, position: int) -> str:
    """A pattern of what stands before a row that begins a line, told from the first row."""
    before = text[text.rfind("\n", 0, position) + 1 : position]
    return before if not before.strip() else " ?"  # the first row may stand on the line of the bracket


def _decode(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer over Python's limit
        return _LONG_DECODER.raw_decode(text, position)


def _row(value: Any, where: str) -> dict[str, Any] | TaskError:
    if not isinstance(value, dict):
        return TaskError(
            f"{where}: expected an object, got {_kind(value)}. Each row must be one JSON object."
        )
    return value


def _undecodable(source: str, where: str) -> TaskError | None:
    """The error of a row with bytes that are not UTF-8, which `read_text` let pass as lone surrogates."""
    try:
        source.encode()
    except UnicodeEncodeError as error:
        return TaskError(f"{where}: not UTF-8 text (character {error.start}). Write it as UTF-8.")
    return None


def _not_json(where: str, error: Exception) -> TaskError:
    return TaskError(f"{where}: not JSON ({str(error)[:200]}). Each row must be one JSON object.")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number"}
    return names.get(type(value), repr(value)[:40])


def collect(
    name: str,
    rows: Iterable[Row | TaskError],
    parse: Callable[[Row], Task | Skip],
    limit: int | None = None,
    *,
    strict: bool = False,
) -> list[Task]:
    """The tasks of `rows`, at most `limit`, ids unique.

    Rows left out are counted on standard error; those that cannot be read or repeat an id are named there, the first
    few. Raises `TaskError`, which names them, where no task is left, and with `strict` where there is one.
    """
    tasks: dict[str, Task] = {}
    places: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    problems: list[str] = []
    for row in rows:
        if limit is not None and len(tasks) >= limit:
            break
        task = _read(row, parse)
        if isinstance(task, TaskError):
            left_out["cannot be read"] += 1
            problems.append(str(task))
        elif isinstance(task, Skip):
            left_out[task.reason] += 1
        elif task.id in tasks:
            left_out["an earlier row has the same id"] += 1
            where = getattr(row, "where", name)
            problems.append(f"{where}: the id {task.id!r} is that of {places[task.id]}. Give each its own.")
        else:
            tasks[task.id], places[task.id] = task, getattr(row, "where", name)
    if strict and problems:
        raise TaskError(f"{name}: {len(problems)} rows in error:{_listed(problems)}")
    for reason, count in left_out.items():
        print(f"{name}: left out {count} row{'s' * (count > 1)}: {reason}", file=sys.stderr)
    if not tasks:
        reason = _listed(problems) if problems else " Check the file, the split and the limit."
        raise TaskError(f"{name}: no problems found.{reason}")
    if problems:
        print(_listed(problems)[1:], file=sys.stderr)
    return list(tasks.values())


def _listed(problems: Sequence[str]) -> str:
    """The first few, each on a line of its own."""
    return "".join(f"\n  {problem}" for problem in problems[:MAX_NAMED])


def _read(row: Row | TaskError, parse: Callable[[Row], Task | Skip]) -> Task | Skip | TaskError:
    """The boundary: a fault in a row affects that row only."""
    if isinstance(row, TaskError):
        return row
    try:
        return parse(row)
    except TaskError as error:
        return error
    except Exception as error:  # what no parser foresaw must not take the other rows along  # noqa: BLE001
        return TaskError(f"{row.where}: cannot be read ({type(error).__name__}: {str(error)[:200]}).")
