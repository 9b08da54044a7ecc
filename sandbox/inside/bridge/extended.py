"""The standard library's abstract containers and Enums, as classes of the program's extend them.

So `isinstance(bag, Mapping)` and `issubclass(Color, Enum)` hold in the judge, too. Nothing else does: only the
program's class says what its objects can do.
"""

from __future__ import annotations

import collections.abc
import enum
from typing import Any

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
