"""numpy's arrays and numbers, by value: plain types only, rebuilt from their bytes or from plain items.

Loaded once such a value crosses; the receiver imports numpy then, if it has not.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy

from sandbox.inside.values.plain import MAX_BYTES, CodecError

if TYPE_CHECKING:
    from sandbox.inside.values.decoder import Decoder
    from sandbox.inside.values.encoder import Encoder

_TYPE = re.compile(r"[<>|=]?(?:[biufc?]\d{0,2}|[SU]\d{0,6}|[mM]8(?:\[\d{0,4}[a-zA-Z]{1,7}\])?)")
_OBJECTS = "O"
_MAX_AXES = 32
_MAX_CHARACTER = 0x10FFFF


def encoder(kind: type) -> Callable[[Encoder, Any, int], object] | None:
    if kind is numpy.ndarray:
        return _array
    return _number if issubclass(kind, numpy.generic) and kind.__module__ == "numpy" else None


def _number(encoder: Encoder, value: Any, depth: int) -> object:
    if not _is_plain(value.dtype) or value.dtype.kind in "SU":
        return None  # stripped, or opaque
    if not encoder.wide:
        plain = value.item()
        return encoder.node(plain, depth) if type(plain) in (bool, int, float, complex) else None
    if value.dtype.kind in "mM":
        return {"number": [value.dtype.str, int(value.view("i8"))]}
    return {"number": [value.dtype.str, encoder.node(value.item(), depth + 1)]}


def _is_plain(kind: Any) -> bool:
    return (
        kind.fields is None
        and kind.subdtype is None
        and bool(_TYPE.fullmatch(kind.str))
        and kind.char not in "gG"
    )


def _array(encoder: Encoder, value: Any, depth: int) -> object:
    if not encoder.wide or not (_is_plain(value.dtype) or value.dtype.str[1:] == _OBJECTS):
        return None
    return encoder.reference(value) or {"ndarray": CONTENTS[numpy.ndarray](encoder, value, depth)}


def _array_content(encoder: Encoder, value: Any, depth: int) -> list[Any]:
    if value.dtype.str[1:] == _OBJECTS:
        return [_OBJECTS, list(value.shape), encoder.nodes(value.ravel().tolist(), depth)]
    encoder.spend(value.nbytes)  # before it is copied: it may be many times as large as its memory
    return [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode()]


CONTENTS: dict[type, Callable[[Encoder, Any, int], list[Any]]] = {numpy.ndarray: _array_content}


def _to_number(decoder: Decoder, node: object, depth: int) -> object:
    if type(node) is not list or len(node) != 2:
        raise CodecError("expected a number")
    kind, plain = _type(node[0]), decoder.value(node[1])
    if type(plain) not in (bool, int, float, complex):
        raise CodecError("expected a number")
    return numpy.array([plain], dtype=kind)[0]


def _type(text: object) -> Any:
    if type(text) is not str or not _TYPE.fullmatch(text):
        raise CodecError("not a type of plain numbers or text")
    return numpy.dtype(text)


def _to_array(decoder: Decoder, node: object, depth: int) -> Any:
    kind, shape, _ = _parts(node)
    value = numpy.zeros(shape, dtype=object if kind == _OBJECTS else _type(kind))
    return decoder.build(value, depth, lambda: _refill_array(decoder, value, node, depth))


def _parts(node: object) -> list[Any]:
    """Type, shape and content. The content is as large as the shape says, so that a shape alone costs nothing."""
    if type(node) is not list or len(node) != 3 or type(node[1]) is not list or len(node[1]) > _MAX_AXES:
        raise CodecError("expected an array")
    kind, shape, content = node
    if any(type(size) is not int or size < 0 for size in shape):
        raise CodecError("not the shape of an array")
    if prod(max(size, 1) for size in shape) > MAX_BYTES:  # also of empty ones: their rows could be counted
        raise CodecError("not the shape of an array")
    if kind == _OBJECTS:
        whole = type(content) is list and len(content) == prod(shape)
    else:
        size = prod(shape) * _type(kind).itemsize
        whole = type(content) is str and len(content) == 4 * ((size + 2) // 3)
    if not whole:
        raise CodecError("an array's content does not fit its shape")
    return node


def _refill_array(decoder: Decoder, value: Any, node: object, depth: int) -> None:
    kind, shape, content = _parts(node)
    if kind == _OBJECTS:
        filled = numpy.empty(prod(shape), dtype=object)
        for index, item in enumerate(decoder.items(content, depth)):
            filled[index] = item
    else:
        filled = numpy.frombuffer(base64.b64decode(content, validate=True), dtype=_type(kind))
        if filled.dtype.kind == "U" and filled.size:
            characters = filled.view(filled.dtype.str[0] + "u4")
            if characters.max() > _MAX_CHARACTER:
                raise CodecError("not text")
        if filled.dtype.kind == "b":
            filled = filled.view("u1") != 0
    if value.shape != tuple(shape) or value.dtype != filled.dtype:
        raise CodecError("an array's type and shape stay as they are")
    value[...] = filled.reshape(shape)


REFILLS: dict[type, Callable[[Decoder, Any, Any, int], None]] = {numpy.ndarray: _refill_array}
DECODERS: dict[str, Callable[[Decoder, Any, int], Any]] = {"number": _to_number, "ndarray": _to_array}
