"""Objects of the test's that the program may use: mocks, streams, database connections, awaitables.

The program gets a handle that can do what such an object is for, and no more: each use is a request, which the
judge carries out if objects of that kind have the operation. A mock's own interface to its test (`return_value`,
`call_args`, `assert_called_once`, ...) is not part of what it stands for, so the program does not see it.

    description, judge to program: {"h": number, "can": [special method, ...]}
    request "use": object, operation, arguments
"""

from __future__ import annotations

import io
import operator
import sys
from collections.abc import Callable
from typing import Any

# By special method. Streams, mocks and awaitables have those that their class has.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "__call__": lambda value, *args, **kwargs: value(*args, **kwargs),
    "__iter__": iter,
    "__next__": next,
    "__len__": len,
    "__bool__": bool,
    "__contains__": operator.contains,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__enter__": lambda value: value.__enter__(),
    "__exit__": lambda value, error: value.__exit__(type(error) if error else None, error, None),
    "__int__": int,
    "__float__": float,
    "__str__": str,
    "__await__": lambda value: _finished(value),
    "__aiter__": lambda value: value.__aiter__(),
    "__anext__": lambda value: _finished(value.__anext__()),
    "__aenter__": lambda value: _finished(value.__aenter__()),
    "__aexit__": lambda value, error: _finished(value.__aexit__(type(error) if error else None, error, None)),
}
_STREAM = frozenset(
    "read readline readlines write writelines seek tell truncate close flush closed name mode encoding errors "
    "newlines readable writable seekable getvalue isatty read1 buffer".split()
)
_SQLITE = {
    "Connection": frozenset(
        "execute executemany executescript cursor commit rollback close total_changes in_transaction".split()
    ),
    "Cursor": frozenset(
        "execute executemany executescript fetchone fetchall fetchmany close rowcount lastrowid description "
        "arraysize".split()
    ),
    "Row": frozenset({"keys"}),
}
_MOCK_INTERFACE = frozenset(
    "return_value side_effect called call_count call_args call_args_list mock_calls method_calls "
    "attach_mock configure_mock mock_add_spec reset_mock await_count await_args await_args_list awaited".split()
)


def _finished(awaitable: Any) -> Any:
    from sandbox.inside.bridge.awaiting import run_to_end  # asyncio takes time to import

    return run_to_end(awaitable)


class NotLent(Exception):
    """The program asked for what it was not given."""


def can(value: object) -> list[str] | None:
    """The special methods that the program may use of `value`, or None where it may not have it."""
    kind = type(value)
    if _is_mock(kind) or issubclass(kind, io.IOBase) or _sqlite(kind):
        return [name for name in OPERATIONS if getattr(kind, name, None) is not None]
    waits = [
        name
        for name in ("__await__", "__aiter__", "__anext__", "__aenter__", "__aexit__")
        if hasattr(kind, name)
    ]
    return waits or None


def use(
    value: Any, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], is_plain: Callable[[Any], bool]
) -> Any:
    """Carries out what the program asked for. Raises `NotLent`, or what the object raises."""
    possible = can(value)
    if possible is None:
        raise NotLent("an object that it was not given")
    if operation not in ("getattr", "setattr"):
        if operation not in possible:
            raise NotLent(f"an operation that it was not given: {str(operation)[:50]!r}")
        return OPERATIONS[operation](value, *args, **kwargs)
    name, *rest = args
    if type(name) is not str or not _allowed(type(value), name):
        raise AttributeError(f"{type(value).__name__!r} object has no attribute {str(name)[:200]!r}")
    if operation == "getattr":
        found = getattr(value, name)
        return _without_files(value, found) if _sqlite(type(value)) and callable(found) else found
    if not all(map(is_plain, rest)):  # the test could then ask the program's object for its verdicts
        raise NotLent(f"it puts an object of its own into the test's, as {name[:200]!r}")
    return setattr(value, name, *rest)


def _without_files(database: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a connection or cursor whose statements reach no other database's file."""
    sqlite = sys.modules["sqlite3"]
    connection = getattr(database, "connection", database)

    def authorize(action: int, *names: object) -> int:
        denied: bool = action in (sqlite.SQLITE_ATTACH, sqlite.SQLITE_DETACH)
        return sqlite.SQLITE_DENY if denied else sqlite.SQLITE_OK  # type: ignore[no-any-return]

    def restricted(*args: Any, **kwargs: Any) -> Any:
        connection.set_authorizer(authorize)
        try:
            return method(*args, **kwargs)
        finally:
            if method.__name__ != "close":
                connection.set_authorizer(None)

    return restricted


def _allowed(kind: type, name: str) -> bool:
    if name.startswith("_"):
        return False
    if _is_mock(kind):
        return name not in _MOCK_INTERFACE and not name.startswith(("assert", "called_", "has_calls"))
    return name in (_STREAM if issubclass(kind, io.IOBase) else _sqlite(kind))


def _is_mock(kind: type) -> bool:
    mock = sys.modules.get("unittest.mock")
    return mock is not None and issubclass(kind, mock.NonCallableMock)


def _sqlite(kind: type) -> frozenset[str]:
    sqlite = sys.modules.get("sqlite3")
    for name, attributes in _SQLITE.items() if sqlite else ():
        if issubclass(kind, getattr(sqlite, name)):
            return attributes
    return frozenset()
