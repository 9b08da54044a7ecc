"""Which file knows how values of another module's types cross; it is loaded when the first such value or text comes.

The list is fixed: no text can make its receiver import anything else.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_FILE_OF_MODULE = {
    **dict.fromkeys("datetime decimal fractions pathlib uuid zoneinfo".split(), "standard"),
    **dict.fromkeys("array collections io _io".split(), "containers"),
    "numpy": "arrays",
    "pandas": "frames",
}
_FILE_OF_TAG = {
    **dict.fromkeys(
        (
            *("date", "time", "datetime", "timedelta", "timezone", "ZoneInfo", "Decimal", "Fraction", "UUID"),
            *("Path", "memoryview", "slice"),
        ),
        "standard",
    ),
    **dict.fromkeys("deque Counter OrderedDict defaultdict array StringIO BytesIO".split(), "containers"),
    **dict.fromkeys(("number", "ndarray"), "arrays"),
    **dict.fromkeys(("DataFrame", "Series", "Index", "Timestamp", "Timedelta", "missing"), "frames"),
}
_BUILTINS = (memoryview, slice)
_NARROW = ("standard", "arrays")  # numpy's numbers are plain ones then
_module = type.__dict__["__module__"].__get__  # whatever a metaclass says


def of_type(kind: type, wide: bool) -> ModuleType | None:
    """Where not `wide`, only what is a value in itself crosses: no containers of other modules, arrays or frames."""
    module = _module(kind)
    if type(module) is not str:
        return None
    file = _FILE_OF_MODULE.get(module.partition(".")[0])
    if file is None and any(kind is each for each in _BUILTINS):
        file = "standard"
    return _load(file) if file is not None and (wide or file in _NARROW) else None


def of_tag(tag: str, wide: bool) -> ModuleType | None:
    file = _FILE_OF_TAG.get(tag)
    return _load(file) if file is not None and (wide or file == "standard") else None


def _load(file: str) -> ModuleType:
    name = f"{__package__}.{file}"
    return sys.modules.get(name) or importlib.import_module(name)


def of_container(container: Any) -> ModuleType | None:
    """The file whose `CONTENTS` and `REFILLS` know this container; None for the plain ones."""
    kind = type(container)
    return None if _module(kind) == "builtins" else of_type(kind, wide=True)


def named(modules: set[str]) -> list[str]:
    """The files that values of these modules will need."""
    return sorted({f"{__package__}.{_FILE_OF_MODULE[name]}" for name in modules & _FILE_OF_MODULE.keys()})
