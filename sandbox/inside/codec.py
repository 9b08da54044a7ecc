"""Plain Python values to JSON text and back, for a sender that may lie.

Plain are: None, bool, int of any size, float, complex, str, bytes, bytearray, list, tuple, dict, set,
frozenset, range, Ellipsis and the builtin types by name (`int`, `ValueError`). An instance of a subclass is
stripped to its plain base by the base's own methods, so that nothing the program overrides has a say.
Whatever else crosses as an `Opaque`. Identity of lists, dicts, sets and bytearrays is kept within one
message: the n-th such container, counted in the order of the text, is referred to as `{"ref": n}`.

JSON scalars and arrays stand for themselves (an array is a list); every other value is an object of one key,
its tag. Decoding takes time linear in the text, runs no code of the sender, and raises only `CodecError`.
"""

from __future__ import annotations

import base64
import builtins
import json
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 200
MAX_NODES = 2_000_000  # values in one message; a decoded empty list takes 20 times its text in memory
_NODE_COST = MAX_BYTES // MAX_NODES
_MAX_COLLISIONS = 32  # keys of one dict or set that may share a hash: ints and tuples can be crafted to

_TYPES = {name: value for name, value in vars(builtins).items() if type(value) is type}
_TYPE_NAMES = {id(value): value.__name__ for value in _TYPES.values()}
_SCALARS = frozenset({type(None), bool, int, float, str})
_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

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


def encode(value: object, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> str:
    """ASCII JSON text of `value`. Raises `CodecError`; calls no method that `value`'s class overrides."""
    return dump(Encoder(max_bytes=max_bytes, max_depth=max_depth).node(value), max_bytes)


def encode_all(values: Sequence[object], *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> str:
    """Like `encode` for several values, aliasing between them kept. Read it with `decode_all`."""
    encoder = Encoder(max_bytes=max_bytes, max_depth=max_depth)
    return dump([encoder.node(value) for value in values], max_bytes)


def decode(
    text: str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, cyclic: bool = False
) -> object:
    """The value of `text`, built from exact builtin types and `Opaque`. Raises only `CodecError`.

    Without `cyclic` the value is finite: no cycle, and no sharing that unfolds (in `repr`, say) to more than
    `MAX_BYTES` or deeper than `max_depth`.
    """
    return Decoder(max_depth=max_depth, cyclic=cyclic).value(load(text, max_bytes))


def decode_all(
    text: str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, cyclic: bool = False
) -> list[object]:
    """The values of `encode_all`, under the rules of `decode`."""
    nodes = load(text, max_bytes)
    if type(nodes) is not list:
        raise CodecError("expected an array of values")
    decoder = Decoder(max_depth=max_depth, cyclic=cyclic)
    return [decoder.value(node) for node in nodes]


def dump(node: object, max_bytes: int = MAX_BYTES) -> str:
    """JSON text of an encoder's node (or of a message that holds nodes), size checked."""
    text = json.dumps(node, separators=(",", ":"), check_circular=False)
    _check_size(text, max_bytes)
    return text


def load(text: str, max_bytes: int = MAX_BYTES) -> Any:
    """Parsed JSON of `text`, size checked. Raises only `CodecError`."""
    _check_size(text, max_bytes)
    try:
        return json.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise CodecError(f"malformed JSON: {type(error).__name__}") from None


def _check_size(text: str, max_bytes: int) -> None:
    if len(text) > max_bytes:
        raise TooLarge(f"value takes more than {max_bytes} bytes")
    if len(text) > MAX_NODES and text.count(",") + text.count("[") + text.count("{") > MAX_NODES:
        raise TooLarge(f"more than {MAX_NODES} values")


class Encoder:
    """Turns the values of one message into JSON nodes, aliasing between them kept.

    `known` are containers that the receiver already has, numbered from 0 on both sides. `foreign`, where
    given, may turn a value that is not plain into a JSON description that the receiver's `foreign` reads;
    it returns None for a value that is to be opaque. `containers` are those met so far, in order.
    """

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        max_depth: int = MAX_DEPTH,
        known: Iterable[Container] = (),
        foreign: Callable[[object], object | None] | None = None,
    ) -> None:
        self.containers: list[Container] = list(known)  # also keeps them alive, so that ids stay unique
        self._numbers = {id(container): number for number, container in enumerate(self.containers)}
        self._budget = max_bytes
        self._max_bytes = max_bytes
        self._max_depth = max_depth
        self._foreign = foreign

    def node(self, value: object, depth: int = 0) -> object:
        kind = type(value)
        if encode_exact := _ENCODERS_BY_ID.get(id(kind)):
            return encode_exact(self, value, depth)
        for base, encode_base in _ENCODERS.items():
            if issubclass(kind, base):
                return encode_base(self, value, depth)
        if value is Ellipsis:
            return {"ellipsis": 0}
        if id(value) in _TYPE_NAMES:
            return {"type": _TYPE_NAMES[id(value)]}
        description = self._foreign(value) if self._foreign else None
        if description is not None:
            return {"foreign": description}
        return {"opaque": [_type_name(kind), f"<{_type_name(kind)} object>"]}

    def content(self, container: Container, depth: int = 0) -> object:
        """The content of a known container, for `Decoder.refill`."""
        for base, encode_content in _CONTENTS.items():
            if issubclass(type(container), base):
                return encode_content(self, container, depth)
        raise CodecError(f"{type(container).__name__} is not a container")

    def nodes(self, values: Iterable[Any], depth: int) -> list[Any]:
        """Nodes of a container's items; flat runs of scalars are checked at C speed."""
        if depth >= self._max_depth:
            raise CodecError(f"value is nested deeper than {self._max_depth}")
        items = list(values)
        self._spend(_NODE_COST * len(items))
        kinds = set(map(id, map(type, items)))  # by id: a metaclass can redefine its classes' hash
        if kinds == {id(int)} and max(map(int.bit_length, items)) <= 64:
            return items
        if kinds == {id(float)} and all(map(math.isfinite, items)):
            return items
        if kinds == {id(str)} and (joined := "".join(items)).isascii():
            self._spend(len(joined))
            return items
        return [self.node(item, depth + 1) for item in items]

    def reference(self, container: Any) -> dict[str, object] | None:
        """A reference where `container` was met before; else None, and it has a number from now on."""
        number = self._numbers.get(id(container))
        if number is not None:
            return {"ref": number}
        self._numbers[id(container)] = len(self.containers)
        self.containers.append(container)
        return None

    def integer(self, value: int) -> object:
        bits = value.bit_length()
        self._spend(bits // 4)
        return value if bits <= 64 else {"int": hex(value)}

    def string(self, value: str) -> object:
        self._spend(len(value))
        try:
            value.encode()
        except UnicodeEncodeError:  # lone surrogates: JSON would join two of them to one character
            return {"str": _base64(value.encode("utf-8", "surrogatepass"))}
        return value

    def binary(self, value: bytes) -> str:
        self._spend(len(value))
        return _base64(value)

    def real(self, value: float) -> object:
        return value if math.isfinite(value) else {"float": repr(value)}

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise TooLarge(f"value takes more than {self._max_bytes} bytes")


def _dict_items(value: dict[Any, Any]) -> Iterable[object]:
    if issubclass(type(value), OrderedDict):  # its order is its own, and its items() ask overridden methods
        pairs: Iterable[tuple[object, object]] = (
            (key, dict.__getitem__(value, key)) for key in OrderedDict.__iter__(value)
        )
    else:
        pairs = dict.items(value)
    return (item for pair in pairs for item in pair)


def _container(tag: str | None, base: type) -> Callable[[Encoder, Any, int], object]:
    content = _CONTENTS[base]

    def encode_container(encoder: Encoder, value: Any, depth: int) -> object:
        if reference := encoder.reference(value):
            return reference
        node = content(encoder, value, depth)
        return node if tag is None else {tag: node}

    return encode_container


# What a container holds, as one JSON array (bytearray: text).
_CONTENTS: dict[type, Callable[[Encoder, Any, int], object]] = {
    list: lambda encoder, value, depth: encoder.nodes(list.__iter__(value), depth),
    dict: lambda encoder, value, depth: encoder.nodes(_dict_items(value), depth),
    set: lambda encoder, value, depth: encoder.nodes(set.__iter__(value), depth),
    bytearray: lambda encoder, value, depth: encoder.binary(bytes(bytearray.__getitem__(value, slice(None)))),
}


def _as_it_is(encoder: Encoder, value: Any, depth: int) -> object:
    return value


# Base -> encoder of its instances and of those of its subclasses.
_ENCODERS: dict[type, Callable[[Encoder, Any, int], object]] = {
    int: lambda encoder, value, depth: encoder.integer(int.__int__(value)),
    str: lambda encoder, value, depth: encoder.string(str.__str__(value)),
    float: lambda encoder, value, depth: encoder.real(float.__float__(value)),
    list: _container(None, list),
    tuple: lambda encoder, value, depth: {"t": encoder.nodes(tuple.__iter__(value), depth)},
    dict: _container("d", dict),
    set: _container("set", set),
    frozenset: lambda encoder, value, depth: {"frozenset": encoder.nodes(frozenset.__iter__(value), depth)},
    bytes: lambda encoder, value, depth: {"bytes": encoder.binary(bytes.__getitem__(value, slice(None)))},
    bytearray: _container("bytearray", bytearray),
    complex: lambda encoder, value, depth: {
        "complex": [
            encoder.real(part) for part in (complex.__complex__(value).real, complex.__complex__(value).imag)
        ]
    },
    range: lambda encoder, value, depth: {
        "range": [encoder.integer(part) for part in (value.start, value.stop, value.step)]
    },
}
_ENCODERS_BY_ID = {id(base): encode_base for base, encode_base in _ENCODERS.items()}
_ENCODERS_BY_ID[id(bool)] = _ENCODERS_BY_ID[id(type(None))] = _as_it_is


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
        decode_tag = _DECODERS.get(tag)
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
        self._unfolded += _NODE_COST * len(nodes)
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
    if type(name) is not str or name not in _TYPES:
        raise CodecError("unknown type")
    return _TYPES[name]


_DECODERS: dict[str, Callable[[Decoder, Any, int], Any]] = {
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


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: object) -> bytes:
    if type(text) is not str:
        raise CodecError("expected base64 text")
    return base64.b64decode(text, validate=True)


def _type_name(kind: type) -> str:
    """Module and qualified name, past any metaclass's own idea of them."""
    name = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__module__"].__get__(kind)
    return f"{module}.{name}"[:200] if type(module) is str and module != "builtins" else str(name)[:200]
