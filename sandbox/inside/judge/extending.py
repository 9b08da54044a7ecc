"""What Enums and protocols need to know of the program's classes for `isinstance` (see bridge/extended.py)."""

from __future__ import annotations

import enum
import sys
from typing import Any

from sandbox.inside.judge.proxies import is_opaque


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
