"""Classes that the task's own code defines, and so both sides have: their instances cross by value.

    {"known": name}              the class
    {"instance": name}           an instance; what it holds is in the message's `fields`
    {"member": [name, member]}   a member of an Enum
    {"tuple": [name, node]}      a named tuple
    {"made": [number, node, name, field names]}   one of a class that only the judge has: the program makes one

Each side uses its own class of that name. No code of the class runs, and only data is put into an instance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from sandbox.inside.values import instances
from sandbox.inside.values.decoder import Decoder
from sandbox.inside.values.encoder import Encoder
from sandbox.inside.values.plain import CodecError

KNOWN = frozenset({"known", "instance", "member", "tuple"})
MADE = "made"


def is_named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and type(getattr(cls, "_fields", None)) is tuple


def _is_enum(cls: type) -> bool:
    enum = sys.modules.get("enum")
    return enum is not None and isinstance(cls, enum.EnumMeta)


class KnownClasses:
    """`named` gives this side's class of a name, if there is one; `name_of` the name of a class that is known."""

    def __init__(self, named: Callable[[str], type | None], name_of: Callable[[type], str | None]) -> None:
        self._named = named
        self.name_of = name_of

    def node(self, encoder: Encoder, value: Any, depth: int) -> object | None:
        """The node of a known class or of a value of one; None for anything else."""
        cls = type(value)
        if issubclass(cls, type):
            name = self.name_of(value)
            return None if name is None else {"foreign": {"known": name}}
        if (name := self.name_of(cls)) is None or issubclass(cls, BaseException):
            return None
        if _is_enum(cls):
            return {"foreign": {"member": [name, value.name]}}
        if is_named_tuple(cls):
            return {"foreign": {"tuple": [name, encoder.nodes(tuple.__iter__(value), depth)]}}
        return encoder.instance(value, {"instance": name}) if instances.is_plain(cls) else None

    def value(self, decoder: Decoder, description: dict[str, Any], depth: int) -> Any:
        """What `node` describes. Raises `CodecError` where it makes no sense."""
        if "known" in description:
            return self.named(description["known"])
        if "instance" in description:
            cls = self.named(description["instance"])
            if not instances.is_plain(cls) or _is_enum(cls):
                raise CodecError(f"{cls.__name__} is no plain class")
            return decoder.instance(cls)
        if "member" in description:
            name, member = description["member"]
            cls = self.named(name)
            if not _is_enum(cls) or type(member) is not str or member not in cls.__members__:  # type: ignore[attr-defined]
                raise CodecError("no such member")
            return cls.__members__[member]  # type: ignore[attr-defined]
        name, node = description["tuple"]
        cls = self.named(name)
        items = decoder.items(node, depth)
        if not is_named_tuple(cls) or len(items) != len(cls._fields):  # type: ignore[attr-defined]
            raise CodecError("no such named tuple")
        return tuple.__new__(cls, items)

    def named(self, name: object) -> type:
        cls = self._named(name) if type(name) is str else None
        if cls is None:
            raise CodecError("unknown class")
        return cls
