"""What the codec's two halves share: its limits, its errors, `Opaque`."""

from __future__ import annotations

import base64
import builtins
from typing import Any

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 200
MAX_NODES = 2_000_000  # values in one message; a decoded empty list takes 20 times its text in memory
NODE_COST = MAX_BYTES // MAX_NODES
TYPES = {name: value for name, value in vars(builtins).items() if type(value) is type}

# An instance of a subclass of these can be stripped to its plain base.
PLAIN = (int, str, float, list, tuple, dict, set, frozenset, bytes, bytearray, complex)
# What may change, and so keeps its identity: a list, dict, set, bytearray, deque, array, stream, frame or instance.
Container = Any


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


def parts_of(node: object, count: int) -> list[Any]:
    if type(node) is not list or len(node) != count:
        raise CodecError(f"expected {count} parts")
    return node


def unbase64(text: object) -> bytes:
    if type(text) is not str:
        raise CodecError("expected base64 text")
    return base64.b64decode(text, validate=True)
