"""Plain Python values to JSON text and back, for a sender that may lie.

Plain are: None, bool, int of any size, float, complex, str, bytes, bytearray, list, tuple, dict, set,
frozenset, range, Ellipsis and the builtin types by name (`int`, `ValueError`). An instance of a subclass is
stripped to its plain base by the base's own methods, so that nothing the program overrides matters.
Values of the standard library, and numpy's and pandas' where both sides ask for it (`wide`), cross by tags of
their own (see extensions.py). Whatever else crosses as an `Opaque`. Identity of lists, dicts, sets and bytearrays is
kept within one message: the n-th such container, counted in the order of the text, is referred to as `{"ref": n}`.

JSON scalars and arrays stand for themselves (an array is a list); every other value is an object of one key,
its tag. Decoding takes time linear in the text, runs no code of the sender, and raises only `CodecError`.
"""

from __future__ import annotations

from typing import Any

from sandbox.inside import wire
from sandbox.inside.values.decoder import Decoder
from sandbox.inside.values.encoder import Encoder
from sandbox.inside.values.plain import (
    MAX_BYTES,
    MAX_NODES,
    CodecError,
    Container,
    Opaque,
    TooLarge,
)

__all__ = [
    "MAX_BYTES",
    "CodecError",
    "Container",
    "Decoder",
    "Encoder",
    "Opaque",
    "TooLarge",
    "decode",
    "dump",
    "encode",
    "load",
]


def encode(value: object, *, max_bytes: int = MAX_BYTES) -> str:
    """ASCII JSON text of `value`. Raises `CodecError`; calls no method that `value`'s class overrides."""
    return dump(Encoder(max_bytes=max_bytes).node(value), max_bytes)


def decode(text: str, *, max_bytes: int = MAX_BYTES) -> object:
    """The value of `text`, built from exact builtin types and `Opaque`. Raises only `CodecError`.

    It is finite: no cycle, and no sharing that unfolds (in `repr`, for instance) to more than `MAX_BYTES` or deeper
    than `MAX_DEPTH`. A `Decoder` that is `cyclic` takes those, too.
    """
    return Decoder().value(load(text, max_bytes))


def dump(node: object, max_bytes: int = MAX_BYTES) -> str:
    """JSON text of an encoder's node (or of a message that holds nodes), size checked."""
    text = wire.to_json(node)
    _check_size(text, max_bytes)
    return text


def load(text: str, max_bytes: int = MAX_BYTES) -> Any:
    """Parsed JSON of `text`, size checked. Raises only `CodecError`."""
    _check_size(text, max_bytes)
    try:
        return wire.from_json(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise CodecError(f"malformed JSON: {type(error).__name__}") from None


def _check_size(text: str, max_bytes: int) -> None:
    if len(text) > max_bytes:
        raise TooLarge(f"value takes more than {max_bytes} bytes")
    if len(text) > MAX_NODES and text.count(",") + text.count("[") + text.count("{") > MAX_NODES:
        raise TooLarge(f"more than {MAX_NODES} values")
