"""What the codec's two halves share: its limits, its errors, `Opaque`."""

from __future__ import annotations

import builtins
from typing import Any

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 200
MAX_NODES = 2_000_000  # values in one message; a decoded empty list takes 20 times its text in memory
NODE_COST = MAX_BYTES // MAX_NODES
TYPES = {name: value for name, value in vars(builtins).items() if type(value) is type}

Container = list[Any] | dict[Any, Any] | set[Any] | bytearray


class CodecError(ValueError):
    """The value or text cannot cross: too large, too deep, cyclic where that is not allowed, or malformed."""


class TooLarge(CodecError):
    """The value or text takes more than its limit."""


class Opaque:
    """What a decoder gets for a value that is not plain. Equal to itself only."""

    __slots__ = ("text", "type_name")

    def __init__(self, type_name: str, text: str) -> None:
        self.type_name = type_name
        self.text = text

    def __repr__(self) -> str:
        return f"Opaque({self.type_name!r}, {self.text!r})"
