"""The environment that test and program share in ordinary testing, where a test names any of it.

Each side keeps the parts that the test names. Every message carries what changed in them since the last one, so
that they agree whenever code of either side runs, however calls nest. Other tests have none of this.

    message["shared"], judge to program: <node of {part: change}>; the first holds every part, None for no change
    program to judge: <node of {part: change}> of those parts; what makes no sense is the program's failure
"""

from __future__ import annotations

import io
import posix
import sys
from typing import Any, Protocol

from sandbox.inside.bridge.shared_files import SCRATCH, Files, TooMuch, UnsafeFile
from sandbox.inside.values.plain import CodecError
from sandbox.inside.wire import OWN_FILE


class Part(Protocol):
    def collect(self) -> Any:
        """What changed on this side, None for nothing."""

    def apply(self, change: Any) -> None:
        """Does what changed on the other side."""


class JudgeSide:
    def __init__(self, names: list[str], source: str, own_modules: frozenset[str]) -> None:
        """`names`: the parts; `source`: the test's; `own_modules`: names by which it imports the program."""
        self._parts: dict[str, Part] = {}
        self._source = source
        self._begun = False
        self.hidden: frozenset[str] = frozenset()
        for name in names:
            if name in ("files", "folder") and posix.getcwd() != SCRATCH:
                continue  # each has its own elsewhere, which the other may not even list
            self._parts[name] = self._part(name, own_modules)

    def _part(self, name: str, own_modules: frozenset[str]) -> Part:
        # Loaded as needed: each costs a judge its pages.
        if name == "files":
            return Files(posix.getcwd(), trusts=False)
        if name in ("environ", "folder", "random"):
            from sandbox.inside.bridge import state

            if name == "random":
                return state.Random()
            if name == "environ":
                return state.Environment(trusts=False)
            return state.Folder(posix.getcwd(), trusts=False)
        if name == "patches":
            from sandbox.inside.bridge.patches import Patches

            return Patches(self._source, own_modules)
        if name == "stdin":
            return StandardInput()
        from sandbox.inside.bridge import reports

        return reports.Logging() if name == "logging" else reports.Warnings()

    def hide(self, path: str) -> None:
        """Keeps a file of the judge's, by its path in the scratch folder, from the program."""
        if isinstance(files := self._parts.get("files"), Files):
            files.hidden |= {path}

    def collect(self) -> dict[str, Any] | None:
        """Raises `TooMuch` where the test's files are too large to cross."""
        changes = _collect(self._parts)
        if self._begun:
            return changes or None
        self._begun = True
        return dict.fromkeys(self._parts) | changes

    def apply(self, changes: Any) -> None:
        """Raises `CodecError` or `UnsafeFile` for what the program may not send."""
        if type(changes) is not dict or not changes.keys() <= self._parts.keys() | {"excess"}:
            raise CodecError("malformed changes of the environment")
        if "excess" in changes:
            raise UnsafeFile(str(changes["excess"])[:200])
        try:
            for name, change in changes.items():
                self._parts[name].apply(change)
        except (CodecError, UnsafeFile):
            raise
        except Exception as error:  # noqa: BLE001 - the program's data caused it
            raise CodecError(f"{type(error).__name__}: {error}") from None

    def warned(self) -> Warning | None:
        """A warning of the program's that the test's filters made an error; once."""
        part: Any = self._parts.get("warnings")
        if part is None or part.raised is None:
            return None
        error, part.raised = part.raised, None
        raised: Warning = error
        return raised


class ProgramSide:
    def __init__(self, first: dict[str, Any]) -> None:
        self._parts = {name: self._part(name) for name in first}

    @staticmethod
    def _part(name: str) -> Part:
        if name == "files":
            return Files(posix.getcwd(), trusts=True, hidden=frozenset({OWN_FILE}))
        if name in ("environ", "folder", "random"):
            from sandbox.inside.bridge import state

            if name == "random":
                return state.RandomHere()
            if name == "environ":
                return state.Environment(trusts=True)
            return state.Folder(posix.getcwd(), trusts=True)
        if name == "patches":
            from sandbox.inside.bridge.patches import PatchesHere

            return PatchesHere()
        if name == "stdin":
            return StandardInputHere()
        from sandbox.inside.bridge import reports

        return reports.LoggingHere() if name == "logging" else reports.WarningsHere()

    def collect(self) -> dict[str, Any]:
        try:
            return _collect(self._parts)
        except TooMuch as problem:
            return {"excess": str(problem)}

    def apply(self, changes: dict[str, Any]) -> None:
        for name, change in changes.items():
            if change is not None:
                self._parts[name].apply(change)


def _collect(parts: dict[str, Part]) -> dict[str, Any]:
    found = {name: part.collect() for name, part in parts.items()}
    return {name: change for name, change in found.items() if change}


class Stream(io.TextIOBase):
    """One that is read here, also by the program; a `StringIO` would cross as a copy."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int | None = -1, /) -> str:
        text: str = self._stream.read(size) if size != -1 else self._stream.read()
        return text

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        line: str = self._stream.readline()
        return line


class StandardInput:
    """The judge's `sys.stdin`, once the test replaces it: a handle, so that both read from one place."""

    def __init__(self) -> None:
        self._original = self._sent = sys.stdin

    def collect(self) -> tuple[Any] | None:
        if sys.stdin is self._sent:
            return None
        self._sent = sys.stdin
        return (None if sys.stdin is self._original else Stream(sys.stdin),)

    def apply(self, change: Any) -> None:
        raise CodecError("standard input is the test's")


class StandardInputHere:
    def __init__(self) -> None:
        self._original = sys.stdin

    def collect(self) -> None:
        return None

    def apply(self, change: tuple[Any]) -> None:
        (stream,) = change
        sys.stdin = self._original if stream is None else stream
