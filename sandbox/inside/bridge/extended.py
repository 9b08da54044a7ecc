"""The standard library's abstract containers and Enums, as classes of the program's extend them.

`isinstance(bag, Mapping)` and `issubclass(Color, Enum)` hold in the judge, too. No more than that: what such a class
can do is what the program's can.
"""

from __future__ import annotations

import collections.abc
import enum
import sys
from typing import Any

from sandbox.inside.judge.proxies import is_opaque

_ABSTRACT = {f"collections.abc:{name}": getattr(collections.abc, name) for name in collections.abc.__all__}
_ENUMS = {
    f"enum:{name}": found
    for name, found in vars(enum).items()
    if isinstance(found, enum.EnumMeta) and name.endswith(("Enum", "Flag"))
}


def names(cls: type) -> list[str]:
    """Of those that `cls` extends."""
    found = [f"{base.__module__}:{base.__qualname__}" for base in cls.__mro__[1:]]
    return [name for name in found if name in _ABSTRACT or name in _ENUMS]


def join(cls: Any, told: object) -> None:
    """Makes `cls` one of those."""
    told = [name for name in told if type(name) is str] if type(told) is list else []
    for name in told:
        if name in _ABSTRACT:
            _ABSTRACT[name].register(cls)
    type.__setattr__(cls, "_coderl_enums", tuple(_ENUMS[name] for name in told if name in _ENUMS))


def let_enums_be_extended() -> None:
    meta: Any = enum.EnumMeta
    is_instance, is_subclass = meta.__instancecheck__, meta.__subclasscheck__

    def __instancecheck__(cls: Any, value: object) -> bool:
        return is_instance(cls, value) or cls in getattr(type(value), "_coderl_enums", ())

    def __subclasscheck__(cls: Any, value: type) -> bool:
        return is_subclass(cls, value) or cls in getattr(value, "_coderl_enums", ())

    meta.__instancecheck__, meta.__subclasscheck__ = __instancecheck__, __subclasscheck__


def let_protocols_ask() -> None:
    """From Python 3.12 on they look for attributes past `getattr`, where an object of the program's has none."""
    typing: Any = sys.modules.get("typing")
    load = getattr(typing, "_lazy_load_getattr_static", None)
    if load is None:
        return
    look = load()

    def found(value: Any, name: str) -> Any:
        return getattr(value, name) if is_opaque(value) else look(value, name)

    typing._lazy_load_getattr_static = lambda: found
