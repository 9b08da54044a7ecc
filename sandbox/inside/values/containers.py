"""The standard library's containers and streams, by value; they keep their identity, as lists do.

Loaded once such a value or text is met.
"""

from __future__ import annotations

import array
import io
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.inside.values.plain import TYPES, CodecError, parts_of, unbase64

if TYPE_CHECKING:
    from sandbox.inside.values.decoder import Decoder
    from sandbox.inside.values.encoder import Encoder

_FACTORIES = {id(kind): name for name, kind in TYPES.items()}


def encoder(kind: type) -> Callable[[Encoder, Any, int], object] | None:
    """How values of exactly this type become nodes, if they cross by value."""
    return _ENCODERS_BY_ID.get(id(kind))  # by id: a metaclass may redefine its classes' hash


def _container(tag: str) -> Callable[[Encoder, Any, int], object]:
    """A container keeps its identity (see `Encoder.reference`); what it holds is its content."""

    def encode(encoder: Encoder, value: Any, depth: int) -> object:
        if type(value) in _STREAMS and value.closed:
            return None
        return encoder.reference(value) or {tag: CONTENTS[type(value)](encoder, value, depth)}

    return encode


def _pairs(encoder: Encoder, value: dict[Any, Any], depth: int) -> list[Any]:
    return encoder.nodes((item for pair in value.items() for item in pair), depth)


def _factory(value: Any) -> str | None:
    """A default factory by its name, if it is a builtin type: any other's code would have to cross."""
    return _FACTORIES.get(id(value.default_factory))


def _stream_content(encoder: Encoder, value: Any, depth: int) -> list[Any]:
    content = value.getvalue()
    whole = encoder.string(content) if type(content) is str else encoder.binary(content)
    return [whole, value.tell()]


_STREAMS = (io.StringIO, io.BytesIO)

# What a container holds, for `Encoder.content`.
CONTENTS: dict[type, Callable[[Encoder, Any, int], list[Any]]] = {
    deque: lambda encoder, value, depth: [value.maxlen, encoder.nodes(value, depth)],
    Counter: _pairs,
    OrderedDict: _pairs,
    defaultdict: lambda encoder, value, depth: [_factory(value), _pairs(encoder, value, depth)],
    array.array: lambda encoder, value, depth: [value.typecode, encoder.nodes(value, depth)],
    io.StringIO: _stream_content,
    io.BytesIO: _stream_content,
}
_ENCODERS_BY_ID = {id(kind): _container(kind.__name__) for kind in CONTENTS}


# Nodes to values: bad input is refused by CodecError, ValueError, TypeError or OverflowError.


def _new(decoder: Decoder, value: Any, node: object, depth: int) -> Any:
    """Numbers an empty container, then fills it."""
    return decoder.build(value, depth, lambda: REFILLS[type(value)](decoder, value, node, depth))


def _to_deque(decoder: Decoder, node: object, depth: int) -> deque[Any]:
    most = parts_of(node, 2)[0]
    if most is not None and type(most) is not int:
        raise CodecError("expected a deque")
    return _new(decoder, deque(maxlen=most), node, depth)  # type: ignore[no-any-return]


def _to_defaultdict(decoder: Decoder, node: object, depth: int) -> defaultdict[Any, Any]:
    name = parts_of(node, 2)[0]
    if name is not None and (type(name) is not str or name not in TYPES):
        raise CodecError("expected a default dict")
    return _new(decoder, defaultdict(TYPES.get(name)), node, depth)  # type: ignore[no-any-return, arg-type]


def _to_array(decoder: Decoder, node: object, depth: int) -> array.array[Any]:
    code = parts_of(node, 2)[0]
    if type(code) is not str or code not in array.typecodes:
        raise CodecError("expected an array")
    return _new(decoder, array.array(code), node, depth)  # type: ignore[no-any-return]


DECODERS: dict[str, Callable[[Decoder, Any, int], Any]] = {
    "deque": _to_deque,
    "Counter": lambda decoder, node, depth: _new(decoder, Counter(), node, depth),
    "OrderedDict": lambda decoder, node, depth: _new(decoder, OrderedDict(), node, depth),
    "defaultdict": _to_defaultdict,
    "array": _to_array,
    "StringIO": lambda decoder, node, depth: _new(decoder, io.StringIO(), node, depth),
    "BytesIO": lambda decoder, node, depth: _new(decoder, io.BytesIO(), node, depth),
}


# A container's content, replaced by what a node says.


def _refill_pairs(decoder: Decoder, value: dict[Any, Any], node: object, depth: int) -> None:
    decoder.fill_pairs(value, decoder.items(node, depth))


def _refill_default(decoder: Decoder, value: dict[Any, Any], node: object, depth: int) -> None:
    _refill_pairs(decoder, value, parts_of(node, 2)[1], depth)


def _refill_deque(decoder: Decoder, value: deque[Any], node: object, depth: int) -> None:
    items = decoder.items(parts_of(node, 2)[1], depth)
    value.clear()
    value.extend(items)


def _refill_array(decoder: Decoder, value: array.array[Any], node: object, depth: int) -> None:
    value[:] = array.array(value.typecode, decoder.items(parts_of(node, 2)[1], depth))


def _refill_stream(decoder: Decoder, value: Any, node: object, depth: int) -> None:
    content, position = parts_of(node, 2)
    whole = decoder.value(content) if type(value) is io.StringIO else unbase64(content)
    if type(position) is not int or not 0 <= position <= len(whole):
        raise CodecError("expected a place in a stream")
    value.seek(0)
    value.truncate()
    value.write(whole)
    value.seek(position)


REFILLS: dict[type, Callable[[Decoder, Any, Any, int], None]] = {
    deque: _refill_deque,
    Counter: _refill_pairs,
    OrderedDict: _refill_pairs,
    defaultdict: _refill_default,
    array.array: _refill_array,
    io.StringIO: _refill_stream,
    io.BytesIO: _refill_stream,
}
