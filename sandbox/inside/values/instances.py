"""Instances of plain classes: reads and writes what they hold without running code of their classes.

A class that the task's own code defines (`ListNode`) is there on both sides; its instances cross field by field.
"""

from __future__ import annotations

from types import MemberDescriptorType
from typing import Any

from sandbox.inside.values.plain import CodecError

_HEAP_TYPE = 1 << 9  # of `type.__flags__`: made by a class statement


def is_plain(cls: type) -> bool:
    """Whether an instance of `cls` is no more than its fields: it extends no type that holds anything else."""
    return all(base.__flags__ & _HEAP_TYPE for base in cls.__mro__[:-1])


def fields(value: object) -> dict[str, Any]:
    """What `value` holds, by name: its `__dict__` and its slots."""
    found: dict[str, Any] = {}
    for cls in type(value).__mro__:
        for name, member in vars(cls).items():
            if type(member) is MemberDescriptorType and member.__objclass__ is cls:
                try:
                    found[name] = member.__get__(value)
                except AttributeError:  # a slot that is empty
                    continue
    found |= getattr(value, "__dict__", {})
    return found


def refill(value: object, names_and_values: list[Any]) -> None:
    """Makes `value` hold these and nothing else. Raises `CodecError` where a name is taken by more than data."""
    names, values = names_and_values[0::2], names_and_values[1::2]
    if any(type(name) is not str for name in names) or len(set(names)) != len(values):
        raise CodecError("not the fields of an instance")
    slots = {name: _slot(type(value), name) for name in names}
    for name in fields(value).keys() - slots.keys():
        object.__delattr__(value, name)
    for name, item in zip(names, values, strict=True):
        if (slot := slots[name]) is not None:
            slot.__set__(value, item)
        else:
            vars(value)[name] = item


def _slot(cls: type, name: str) -> MemberDescriptorType | None:
    """The slot of that name. A method's or a property's is refused: a value in its place would be asked instead."""
    for base in cls.__mro__:
        if name in vars(base):
            member = vars(base)[name]
            if type(member) is MemberDescriptorType:
                return member
            if callable(member) or hasattr(type(member), "__get__"):
                raise CodecError(f"{name!r} is no field of {cls.__name__}")
    return None
