"""What a test replaces in standard modules is replaced in the program's process too, until the test undoes it.

How the test does it (`mock.patch`, `monkeypatch`, an assignment) does not matter: before each message to the program
we look at the attributes that the test's text names, of the modules that it names. The program gets a replacement by
value where that is plain, else a handle (see `lent.py`).

    judge to program: [[module, class or "", attribute, state, value]...]     state: "set", "gone", "original"
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import types
from typing import Any

from sandbox.inside.values.plain import CodecError

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_QUOTED = re.compile(r"""['"]([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)['"]""")
_WORDS = re.compile(r"[A-Za-z_]\w*")
_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE
_MISSING = object()
_IMPORTS = re.compile(r"^[ \t]*import[ \t]+([\w. \t,]+)", re.MULTILINE)
_FROM_IMPORTS = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(.+)", re.MULTILINE)
# Each process has its own of these, or there is another way for them.
_OWN = {
    "sys": frozenset(
        "stdin stdout stderr __stdin__ __stdout__ __stderr__ path modules meta_path path_hooks exc_info".split()
    ),
    "warnings": frozenset({"showwarning", "filters", "warn", "warn_explicit"}),
    "os": frozenset({"environ"}),
    "random": frozenset({"seed", "setstate"}),
    "logging": frozenset({"lastResort"}),
}
# Loading one of these does more than to define names.
_NOT_LOADED = frozenset({"antigravity", "this", "idlelib", "test", "turtledemo", "__main__", "lib2to3"})

Place = tuple[str, str, str]  # module, class or nothing, attribute


class Patches:
    """The judge's side."""

    def __init__(self, source: str, not_these: frozenset[str]) -> None:
        """`source`: the test's, `not_these`: modules of the program's."""
        words = set(_WORDS.findall(source))
        self._original: dict[Place, object] = {}
        self._sent: dict[Place, object] = {}
        self._holders: dict[tuple[str, str], Any] = {}
        for name in sorted(_named_modules(source, not_these)):
            self._watch(name, words)

    def collect(self) -> list[list[object]] | None:
        changes: list[list[object]] = []
        for place, sent in self._sent.items():
            now = vars(self._holders[place[:2]]).get(place[2], _MISSING)
            if now is sent:
                continue
            self._sent[place] = now
            if now is self._original[place]:
                changes.append([*place, "original", None])
            elif now is _MISSING:
                changes.append([*place, "gone", None])
            else:
                changes.append([*place, "set", now])
        return changes or None

    def apply(self, changes: Any) -> None:
        raise CodecError("patches come from the judge alone")

    def _watch(self, name: str, words: set[str]) -> None:
        module = sys.modules[name]
        mine = _OWN.get(name, frozenset())
        if name == "os" and "environ" in words:  # `patch("os.environ.get")`
            for attribute in words & set(dir(module.environ)):
                self._add((name, "environ", attribute), module.environ)
        for word in words - mine:
            value = vars(module).get(word, _MISSING)
            if value is _MISSING:
                continue
            self._add((name, "", word), module)
            if isinstance(value, type) and not value.__flags__ & _IMMUTABLE:
                for attribute in words:
                    if not attribute.startswith("__") and hasattr(value, attribute):
                        self._add((name, word, attribute), value)

    def _add(self, place: Place, holder: Any) -> None:
        self._holders[place[:2]] = holder
        self._original[place] = self._sent[place] = vars(holder).get(place[2], _MISSING)


class PatchesHere:
    """The program's side."""

    def __init__(self) -> None:
        self._original: dict[Place, object] = {}

    def collect(self) -> None:
        return None

    def apply(self, changes: list[tuple[str, str, str, str, object]]) -> None:
        for name, cls, attribute, state, value in changes:
            try:
                holder: Any = importlib.import_module(name)
            except ImportError:  # which the program then does not use
                continue
            if cls:
                holder = getattr(holder, cls)
            place = name, cls, attribute
            original = self._original.setdefault(place, vars(holder).get(attribute, _MISSING))
            if state == "original":
                value = original
            if state == "gone" or value is _MISSING:
                if attribute in vars(holder):
                    delattr(holder, attribute)
            else:
                setattr(holder, attribute, value)


def _named_modules(source: str, not_these: frozenset[str]) -> set[str]:
    """Modules that `source` names, loaded; those, too, that it names by way of the program's."""
    imported = {name.strip() for names in _IMPORTS.findall(source) for name in names.split(",")}
    for module, names in _FROM_IMPORTS.findall(source):
        imported |= {module, *(f"{module}.{name}" for name in _WORDS.findall(names))}
    used = {name for name in _DOTTED.findall(source) if name.partition(".")[0] in sys.stdlib_module_names}
    found = {"builtins"}
    for name in imported | used | set(_QUOTED.findall(source)):
        parts = name.split(".")
        if parts[0] in not_these:
            del parts[0]
            if not parts:
                continue
        if parts[0] in _NOT_LOADED:
            continue
        for length in range(1, len(parts) + 1):
            module = ".".join(parts[:length])
            if module not in sys.modules and not _load(module):
                break
            found.add(sys.modules[module].__name__)
    return {name for name in found if isinstance(sys.modules.get(name), types.ModuleType)}


def _load(name: str) -> bool:
    try:
        if importlib.util.find_spec(name) is None:
            return False
        importlib.import_module(name)
    except (ImportError, ValueError, AttributeError):
        return False
    return True
