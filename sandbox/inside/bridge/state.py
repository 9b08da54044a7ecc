"""What of the interpreter's state a test shares with the program: environment, current folder, random numbers.

Each part says what changed on its side since the last time (`collect`, None for nothing) and does what changed
on the other (`apply`). The program's random numbers never come back: it could choose those that a test draws.
"""

from __future__ import annotations

import importlib
import os
import posix
import random
import re
import sys
from collections.abc import Callable
from typing import Any

from sandbox.inside.values.plain import CodecError

_MAX_VARIABLES = 1_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What the program's process could otherwise tell Python, the loader or pytest in the judge's.
_NOT_FROM_PROGRAM = ("PYTHON", "PYTEST", "LD_")
_NEVER_FROM_PROGRAM = frozenset({"PATH", "HOME", "TMP", "TEMP", "TMPDIR", "SHELL"})
_NOT_TO_PROGRAM = ("PYTEST",)  # names of tests, and their parameters


class Environment:
    def __init__(self, *, trusts: bool) -> None:
        self._trusts = trusts
        self._known = self._now()

    def collect(self) -> dict[str, str | None] | None:
        now = self._now()
        if now == self._known:
            return None
        changes: dict[str, str | None] = {
            name: value for name, value in now.items() if self._known.get(name) != value
        }
        changes |= dict.fromkeys(self._known.keys() - now.keys())
        self._known = now
        return changes

    def apply(self, changes: Any) -> None:
        if type(changes) is not dict or len(changes) > _MAX_VARIABLES:
            raise CodecError("malformed environment")
        for name, value in changes.items():
            if not self._trusts:
                if type(name) is not str or not _NAME.fullmatch(name) or len(name) > 1000:
                    raise CodecError("malformed name of a variable")
                if name.startswith(_NOT_FROM_PROGRAM) or name in _NEVER_FROM_PROGRAM:
                    continue
                if value is not None and (type(value) is not str or "\0" in value or len(value) > 1 << 17):
                    raise CodecError("malformed value of a variable")
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._known = self._now()

    @staticmethod
    def _now() -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_TO_PROGRAM)}


class Folder:
    """The current folder, beneath the scratch folder."""

    def __init__(self, root: str, *, trusts: bool) -> None:
        self._root = root
        self._known = posix.getcwd()

    def collect(self) -> str | None:
        try:
            now = posix.getcwd()
        except OSError:  # deleted
            return None
        if now == self._known or not f"{now}/".startswith(f"{self._root}/"):
            return None
        self._known = now
        return now[len(self._root) + 1 :]

    def apply(self, name: Any) -> None:
        if type(name) is not str or "\0" in name or ".." in name.split("/"):
            raise CodecError("malformed folder")
        posix.chdir(f"{self._root}/{name}")
        self._known = posix.getcwd()


class Random:
    """The judge's generators, once the test seeds them: the program's go on from there."""

    def __init__(self) -> None:
        self._sent: dict[
            str, object
        ] = {}  # by generator that was seeded: its state as sent, None for a new seed
        _after(random, ("seed", "setstate"), lambda: self._note("random"))
        if "numpy" in sys.modules:
            _after(sys.modules["numpy"].random, ("seed", "set_state"), lambda: self._note("numpy"))

    def _note(self, generator: str) -> None:
        self._sent[generator] = None

    def collect(self) -> dict[str, object] | None:
        changes = {}
        for generator, sent in self._sent.items():
            state = random.getstate() if generator == "random" else _numpy_state()
            if state != sent:
                changes[generator] = self._sent[generator] = state
        return changes or None

    def apply(self, found: Any) -> None:
        raise CodecError("random numbers come from the judge alone")


class RandomHere:
    """The program's side of `Random`."""

    def collect(self) -> None:
        return None

    def apply(self, found: Any) -> None:
        if "random" in found:
            random.setstate(found["random"])
        if "numpy" in found:
            importlib.import_module("numpy").random.set_state(found["numpy"])


def _numpy_state() -> object:
    name, keys, *rest = sys.modules["numpy"].random.get_state()
    return name, keys.tolist(), *rest


def _after(module: Any, names: tuple[str, ...], note: Callable[[], None]) -> None:
    """Has `note` called after each call of those functions."""

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            note()
            return result

        return noted

    for name in names:
        setattr(module, name, noting(getattr(module, name)))
