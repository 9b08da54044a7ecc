"""What the codec's two halves share: its limits, its errors, `Opaque`."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """What a decoder gets for a value that is not plain. Equal to itself only."""

    type_name: str
    text: str
