"""The half of the codec that reads untrusted text: JSON nodes to values (see `codec.py`)."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sandbox.inside.values import extensions, instances
from sandbox.inside.values.plain import (
    MAX_BYTES,
    MAX_DEPTH,
    NODE_COST,
    TYPES,
    CodecError,
    Container,
    Opaque,
    parts_of,
    unbase64,
)

_MAX_COLLISIONS = 32  # keys of one dict or set that may share a hash: ints and tuples can be crafted to
_SCALARS = frozenset({type(None), bool, int, float, str})
_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Decoder:
    """Turns the JSON nodes of one message into values; the counterpart of `Encoder`.

    Reuses the parsed arrays as the lists that it returns. `foreign` reads what the sender's `foreign`
    described and raises `CodecError` where that makes no sense; without it, such a node is an error. Only with
    `wide` are there arrays and frames.
    """

    def __init__(
        self,
        *,
        known: Iterable[Container] = (),
        foreign: Callable[[Decoder, Any, int], object] | None = None,
        cyclic: bool = False,
        wide: bool = False,
    ) -> None:
        self.containers: list[Container] = list(known)
        self._foreign = foreign
        self._cyclic = cyclic
        self.wide = wide
        self._empty: deque[object] = deque()  # instances without their fields yet
        self._keyed: list[
            Callable[[], None]
        ] = []  # puts instances, once they have their fields, where they are keys
        # Of each container its unfolded (size, height), known once it is complete.
        self._extents: list[tuple[int, int] | None] = [(0, 0)] * len(self.containers)
        self._unfolded = 0
        self._deepest = 0

    def value(self, node: object, depth: int = 0) -> Any:
        try:
            return self._value(node, depth)
        except CodecError:
            raise
        except Exception as error:  # noqa: BLE001 - values made of untrusted parts may raise anything
            raise CodecError(f"malformed value: {type(error).__name__}: {error}") from None

    def refill(self, container: Container, node: object) -> None:
        """Replace what a known container holds by the sender's `Encoder.content`."""
        try:
            if (file := extensions.of_container(container)) is not None:
                file.REFILLS[type(container)](self, container, node, 0)
            elif isinstance(container, bytearray):
                bytearray.__setitem__(container, slice(None), unbase64(node))
            elif isinstance(container, list):
                list.__setitem__(container, slice(None), self.items(node, 0))
            elif isinstance(container, set):
                set.clear(container)
                self._fill_set(container, self.items(node, 0))
            elif isinstance(container, dict):
                self.fill_pairs(container, self.items(node, 0))
            else:
                instances.refill(container, self.items(node, 0))
        except CodecError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            raise CodecError(f"malformed content: {type(error).__name__}: {error}") from None

    def instance(self, cls: type) -> object:
        """An instance of a class that is known here; it gets its fields by `fields`."""
        value: Any = object.__new__(cls)
        self.containers.append(value)
        self._extents.append((0, 0))
        self._empty.append(value)
        return value

    def fields(self, nodes: object) -> None:
        """What the sender's `Encoder.fields` says that the instances hold."""
        if type(nodes) is not list:
            raise CodecError("expected the fields of instances")
        for node in nodes:
            if not self._empty:
                raise CodecError("fields of no instance")
            self.refill(self._empty.popleft(), node)
        if self._empty:
            raise CodecError("an instance without fields")
        try:
            for put in self._keyed:
                put()
        except Exception as error:  # noqa: BLE001 - as above
            raise CodecError(f"malformed keys: {type(error).__name__}: {error}") from None

    def _value(self, node: object, depth: int) -> Any:
        kind = type(node)
        if kind in _SCALARS:
            return node
        if kind is list:
            return self.build(node, depth, lambda: self.items(node, depth))
        if kind is not dict or len(node) != 1:  # type: ignore[arg-type]
            raise CodecError("a JSON object must be one tag")
        ((tag, content),) = node.items()  # type: ignore[attr-defined]
        decode_tag = TAGS.get(tag)
        if decode_tag is None:
            if (file := extensions.of_tag(tag, self.wide)) is None:
                raise CodecError(f"unknown tag {tag[:20]!r}")
            decode_tag = file.DECODERS[tag]
        return decode_tag(self, content, depth)

    def items(self, nodes: Any, depth: int) -> list[Any]:
        """Decodes a parsed array in place."""
        if type(nodes) is not list:
            raise CodecError("expected an array")
        if depth >= MAX_DEPTH:
            raise CodecError(f"value is nested deeper than {MAX_DEPTH}")
        self._deepest = max(self._deepest, depth + 1)
        self._unfolded += NODE_COST * len(nodes)
        kinds = set(map(type, nodes))
        if str in kinds:
            self._unfolded += sum(len(node) for node in nodes if type(node) is str)
        if not kinds <= _SCALARS:
            for index, node in enumerate(nodes):
                nodes[index] = self._value(node, depth + 1)
        return nodes

    def build(self, container: Any, depth: int, fill: Callable[[], object]) -> Any:
        """Numbers `container`, then has it filled, so that its items may refer to it."""
        number = len(self.containers)
        self.containers.append(container)
        self._extents.append(None)
        size_before, deepest_before = self._unfolded, self._deepest
        self._deepest = depth
        fill()
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
            if self._deepest > MAX_DEPTH:
                raise CodecError(f"value is nested deeper than {MAX_DEPTH}")
        return self.containers[number]

    def _dict(self, nodes: object, depth: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        self.build(result, depth, lambda: self.fill_pairs(result, self.items(nodes, depth)))
        return result

    def _set(self, nodes: object, depth: int) -> set[Any]:
        result: set[Any] = set()
        self.build(result, depth, lambda: self._fill_set(result, self.items(nodes, depth)))
        return result

    def fill_pairs(self, target: dict[Any, Any], items: list[Any]) -> None:
        """Makes `target` hold the pairs of keys and values that `items` alternate, and nothing else."""
        kind = (
            OrderedDict if isinstance(target, OrderedDict) else dict
        )  # the base's methods: Counter's would add
        kind.clear(target)

        def put() -> None:
            keys, values = items[0::2], items[1::2]
            _check_hashes(keys)
            kind.update(target, zip(keys, values, strict=True))
            if len(target) != len(keys):
                raise CodecError("dict with equal keys")

        self._put(put)

    def _fill_set(self, target: set[Any], items: list[Any]) -> None:
        self._put(lambda: set.update(target, _unique(items)))

    def _put(self, put: Callable[[], None]) -> None:
        """Now, or when the instances that may be among the keys are whole."""
        if self._empty:
            self._keyed.append(put)
        else:
            put()

    def _bytearray(self, text: object, depth: int) -> bytearray:
        result = bytearray(unbase64(text))
        self.containers.append(result)
        self._extents.append((len(result), 0))
        self._unfolded += len(result)
        return result

    def _from_foreign(self, description: Any, depth: int) -> object:
        if self._foreign is None:
            raise CodecError("unexpected handle")
        return self._foreign(self, description, depth)


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


def _opaque(node: object) -> Opaque:
    type_name, text = parts_of(node, 2)
    if type(type_name) is not str or type(text) is not str:
        raise CodecError("expected text")
    return Opaque(type_name[:200], text[:200])


def _named_type(name: object) -> type:
    if type(name) is not str or name not in TYPES:
        raise CodecError("unknown type")
    return TYPES[name]


TAGS: dict[str, Callable[[Decoder, Any, int], Any]] = {
    "t": lambda decoder, node, depth: tuple(decoder.items(node, depth)),
    "d": Decoder._dict,
    "set": Decoder._set,
    "ref": Decoder._reference,
    "frozenset": lambda decoder, node, depth: _unique(decoder.items(node, depth)),
    "int": lambda decoder, node, depth: _integer({"int": node}),
    "float": lambda decoder, node, depth: _real({"float": node}),
    "complex": lambda decoder, node, depth: complex(*map(_real, parts_of(node, 2))),
    "str": lambda decoder, node, depth: unbase64(node).decode("utf-8", "surrogatepass"),
    "bytes": lambda decoder, node, depth: unbase64(node),
    "bytearray": Decoder._bytearray,
    "range": lambda decoder, node, depth: range(*map(_integer, parts_of(node, 3))),
    "ellipsis": lambda decoder, node, depth: ...,
    "type": lambda decoder, node, depth: _named_type(node),
    "opaque": lambda decoder, node, depth: _opaque(node),
    "foreign": Decoder._from_foreign,
}
