"""The half of the codec that faces a liar: JSON nodes to values (see `codec.py`)."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sandbox.inside.plain import MAX_BYTES, MAX_DEPTH, NODE_COST, TYPES, CodecError, Container, Opaque

_MAX_COLLISIONS = 32  # keys of one dict or set that may share a hash: ints and tuples can be crafted to
_SCALARS = frozenset({type(None), bool, int, float, str})
_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Decoder:
    """Turns the JSON nodes of one message into values; the counterpart of `Encoder`.

    Reuses the parsed arrays as the lists that it returns. `foreign` reads what the sender's `foreign`
    described and raises `CodecError` where that makes no sense; without it, such a node is an error.
    """

    def __init__(
        self,
        *,
        max_depth: int = MAX_DEPTH,
        known: Iterable[Container] = (),
        foreign: Callable[[object], object] | None = None,
        cyclic: bool = False,
    ) -> None:
        self.containers: list[Container] = list(known)
        self._max_depth = max_depth
        self._foreign = foreign
        self._cyclic = cyclic
        # Of each container its unfolded (size, height), known once it is complete.
        self._extents: list[tuple[int, int] | None] = [(0, 0)] * len(self.containers)
        self._unfolded = 0
        self._deepest = 0

    def value(self, node: object) -> Any:
        try:
            return self._value(node, 0)
        except CodecError:
            raise
        except (ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
            raise CodecError(f"malformed value: {type(error).__name__}: {error}") from None

    def refill(self, container: Container, node: object) -> None:
        """Replace what a known container holds by the sender's `Encoder.content`."""
        try:
            if isinstance(container, bytearray):
                bytearray.__setitem__(container, slice(None), _unbase64(node))
                return
            items = self.value({"t": node})
            if isinstance(container, list):
                list.__setitem__(container, slice(None), items)
            elif isinstance(container, set):
                _check_hashes(items)
                set.clear(container)
                set.update(container, items)
            else:
                _check_hashes(items[0::2])
                dict.clear(container)
                dict.update(container, zip(items[0::2], items[1::2], strict=True))
        except CodecError:
            raise
        except (TypeError, ValueError) as error:
            raise CodecError(f"malformed content: {error}") from None

    def _value(self, node: object, depth: int) -> Any:
        kind = type(node)
        if kind in _SCALARS:
            return node
        if kind is list:
            return self._build(node, depth, node, lambda items: None)
        if kind is not dict or len(node) != 1:  # type: ignore[arg-type]
            raise CodecError("a JSON object must be one tag")
        ((tag, content),) = node.items()  # type: ignore[attr-defined]
        decode_tag = TAGS.get(tag)
        if decode_tag is None:
            raise CodecError(f"unknown tag {tag[:20]!r}")
        return decode_tag(self, content, depth)

    def _items(self, nodes: Any, depth: int) -> list[Any]:
        """Decodes a parsed array in place."""
        if type(nodes) is not list:
            raise CodecError("expected an array")
        if depth >= self._max_depth:
            raise CodecError(f"value is nested deeper than {self._max_depth}")
        self._deepest = max(self._deepest, depth + 1)
        self._unfolded += NODE_COST * len(nodes)
        kinds = set(map(type, nodes))
        if str in kinds:
            self._unfolded += sum(len(node) for node in nodes if type(node) is str)
        if not kinds <= _SCALARS:
            for index, node in enumerate(nodes):
                nodes[index] = self._value(node, depth + 1)
        return nodes

    def _build(self, container: Any, depth: int, nodes: object, fill: Callable[[list[Any]], object]) -> Any:
        """Numbers `container`, then fills it with what `nodes` stand for, so that they may refer to it."""
        number = len(self.containers)
        self.containers.append(container)
        self._extents.append(None)
        size_before, deepest_before = self._unfolded, self._deepest
        self._deepest = depth
        fill(self._items(nodes, depth))
        self._extents[number] = (self._unfolded - size_before, self._deepest - depth)
        self._deepest = max(self._deepest, deepest_before)
        return container

    def _reference(self, number: object, depth: int) -> Container:
        if type(number) is not int or not 0 <= number < len(self.containers):
            raise CodecError("reference to nothing")
        if not self._cyclic:
            extent = self._extents[number]
            if extent is None:
                raise CodecError("value contains itself")
            size, height = extent
            self._unfolded += size
            self._deepest = max(self._deepest, depth + height)
            if self._unfolded > MAX_BYTES:
                raise CodecError(f"value unfolds to more than {MAX_BYTES} bytes")
            if self._deepest > self._max_depth:
                raise CodecError(f"value is nested deeper than {self._max_depth}")
        return self.containers[number]

    def _dict(self, nodes: object, depth: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}

        def fill(items: list[Any]) -> None:
            keys = items[0::2]
            _check_hashes(keys)
            result.update(zip(keys, items[1::2], strict=True))
            if len(result) != len(keys):
                raise CodecError("dict with equal keys")

        self._build(result, depth, nodes, fill)
        return result

    def _set(self, nodes: object, depth: int) -> set[Any]:
        result: set[Any] = set()
        self._build(result, depth, nodes, lambda items: result.update(_unique(items)))
        return result

    def _bytearray(self, text: object, depth: int) -> bytearray:
        result = bytearray(_unbase64(text))
        self.containers.append(result)
        self._extents.append((len(result), 0))
        self._unfolded += len(result)
        return result

    def _from_foreign(self, description: object, depth: int) -> object:
        if self._foreign is None:
            raise CodecError("unexpected handle")
        return self._foreign(description)


def _unique(items: list[Any]) -> frozenset[Any]:
    _check_hashes(items)
    result = frozenset(items)
    if len(result) != len(items):
        raise CodecError("set with equal items")
    return result


def _check_hashes(keys: Sequence[Any]) -> None:
    if len(keys) > _MAX_COLLISIONS and max(Counter(map(hash, keys)).values()) > _MAX_COLLISIONS:
        raise CodecError("too many keys with one hash")


def _real(node: object) -> float:
    if type(node) is float:
        return node
    if type(node) is dict and list(node) == ["float"] and node["float"] in _NONFINITE:
        return _NONFINITE[node["float"]]
    raise CodecError("expected a float")


def _integer(node: object) -> int:
    if type(node) is int:
        return node
    if type(node) is dict and list(node) == ["int"] and type(node["int"]) is str:
        return int(node["int"], 16)
    raise CodecError("expected an int")


def _parts(node: object, count: int) -> list[Any]:
    if type(node) is not list or len(node) != count:
        raise CodecError(f"expected {count} parts")
    return node


def _opaque(node: object) -> Opaque:
    type_name, text = _parts(node, 2)
    if type(type_name) is not str or type(text) is not str:
        raise CodecError("expected text")
    return Opaque(type_name[:200], text[:200])


def _named_type(name: object) -> type:
    if type(name) is not str or name not in TYPES:
        raise CodecError("unknown type")
    return TYPES[name]


TAGS: dict[str, Callable[[Decoder, Any, int], Any]] = {
    "t": lambda decoder, node, depth: tuple(decoder._items(node, depth)),
    "d": Decoder._dict,
    "set": Decoder._set,
    "ref": Decoder._reference,
    "frozenset": lambda decoder, node, depth: _unique(decoder._items(node, depth)),
    "int": lambda decoder, node, depth: _integer({"int": node}),
    "float": lambda decoder, node, depth: _real({"float": node}),
    "complex": lambda decoder, node, depth: complex(*map(_real, _parts(node, 2))),
    "str": lambda decoder, node, depth: _unbase64(node).decode("utf-8", "surrogatepass"),
    "bytes": lambda decoder, node, depth: _unbase64(node),
    "bytearray": Decoder._bytearray,
    "range": lambda decoder, node, depth: range(*map(_integer, _parts(node, 3))),
    "ellipsis": lambda decoder, node, depth: ...,
    "type": lambda decoder, node, depth: _named_type(node),
    "opaque": lambda decoder, node, depth: _opaque(node),
    "foreign": Decoder._from_foreign,
}


def _unbase64(text: object) -> bytes:
    if type(text) is not str:
        raise CodecError("expected base64 text")
    return base64.b64decode(text, validate=True)
