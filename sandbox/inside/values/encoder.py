"""The half of the codec that runs beside the program: values to JSON nodes (see `codec.py`)."""

from __future__ import annotations

import base64
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.inside.values import extensions, instances
from sandbox.inside.values.plain import (
    MAX_BYTES,
    MAX_DEPTH,
    NODE_COST,
    PLAIN,
    TYPES,
    CodecError,
    Container,
    Opaque,
    TooLarge,
)

_TYPE_NAMES = {id(value): value.__name__ for value in TYPES.values()}


class Encoder:
    """Turns the values of one message into JSON nodes, aliasing between them kept.

    `known` are containers that the receiver already has, numbered from 0 on both sides. `foreign`, where
    given, may turn a value that does not cross by value into a node of its own, such as a `{"foreign": ...}` that
    the receiver's `foreign` reads; None: it is stripped to its plain base, if it has one, or else opaque.
    `containers` are those met so far, in order.

    With `wide` the standard library's subclasses of plain types (`Counter`), arrays and frames cross as they are;
    else the subclasses are stripped, numpy's numbers are plain ones, and arrays and frames opaque.
    """

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        known: Iterable[Container] = (),
        foreign: Callable[[Encoder, Any, int], object | None] | None = None,
        wide: bool = False,
    ) -> None:
        self.wide = wide
        self.containers: list[Container] = list(known)  # also keeps them alive, so that ids stay unique
        self._numbers = {id(container): number for number, container in enumerate(self.containers)}
        self._budget = max_bytes
        self._max_bytes = max_bytes
        self._foreign = foreign
        self._waiting: deque[object] = deque()  # instances whose fields are not encoded yet

    def node(self, value: Any, depth: int = 0) -> object:
        kind = type(value)
        if encode_exact := _ENCODERS_BY_ID.get(id(kind)):
            return encode_exact(self, value, depth)
        if (encode_extra := _extra(kind, self.wide)) and (
            node := encode_extra(self, value, depth)
        ) is not None:
            return node
        if value is Ellipsis:
            return {"ellipsis": 0}
        if id(value) in _TYPE_NAMES:
            return {"type": _TYPE_NAMES[id(value)]}
        if kind is Opaque:  # what came as opaque stays so
            return {"opaque": [value.type_name, value.text]}
        is_plain = issubclass(kind, PLAIN)
        if self._foreign is not None and (self.wide or not is_plain):
            node = self._foreign(self, value, depth)
            if node is not None:
                return node
        if is_plain:
            return self.stripped(value, depth)
        return {"opaque": [_type_name(kind), f"<{_type_name(kind)} object>"]}

    def stripped(self, value: Any, depth: int) -> object:
        """An instance of a subclass of a plain type, as one of that type."""
        return next(encode for base, encode in _ENCODERS.items() if issubclass(type(value), base))(
            self, value, depth
        )

    def content(self, container: Container, depth: int = 0) -> object:
        """The content of a known container, for `Decoder.refill`."""
        if (file := extensions.of_container(container)) is not None:
            return file.CONTENTS[type(container)](self, container, depth)
        for base, encode_content in _CONTENTS.items():
            if issubclass(type(container), base):
                return encode_content(self, container, depth)
        return self.nodes((part for field in instances.fields(container).items() for part in field), depth)

    def instance(self, value: Any, description: object) -> object:
        """An instance that `description` names the class of; what it holds is in `fields`, at no depth."""
        if reference := self.reference(value):
            return reference
        self._waiting.append(value)
        return {"foreign": description}

    def fields(self) -> list[object]:
        """What the instances met so far hold, and those met on the way, in the order in which they were met."""
        found = []
        while self._waiting:
            found.append(self.content(self._waiting.popleft()))
        return found

    def nodes(self, values: Iterable[Any], depth: int) -> list[Any]:
        """Nodes of a container's items; flat runs of scalars are checked at C speed."""
        if depth >= MAX_DEPTH:
            raise CodecError(f"value is nested deeper than {MAX_DEPTH}")
        items = list(values)
        self.spend(NODE_COST * len(items))
        kinds = set(map(id, map(type, items)))  # by id: a metaclass can redefine its classes' hash
        if kinds == {id(int)} and max(map(int.bit_length, items)) <= 64:
            return items
        if kinds == {id(float)} and all(map(math.isfinite, items)):
            return items
        if kinds == {id(str)} and (joined := "".join(items)).isascii():
            self.spend(len(joined))
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
        self.spend(bits // 4)
        return value if bits <= 64 else {"int": hex(value)}

    def string(self, value: str) -> object:
        self.spend(len(value))
        try:
            value.encode()
        except UnicodeEncodeError:  # lone surrogates: JSON would join two of them to one character
            return {"str": _base64(value.encode("utf-8", "surrogatepass"))}
        return value

    def binary(self, value: bytes) -> str:
        self.spend(len(value))
        return _base64(value)

    def real(self, value: float) -> object:
        return value if math.isfinite(value) else {"float": repr(value)}

    def spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise TooLarge(f"value takes more than {self._max_bytes} bytes")


_EXTRA_BY_ID: dict[tuple[int, bool], tuple[type, Callable[[Encoder, Any, int], object] | None]] = {}


def _extra(kind: type, wide: bool) -> Callable[[Encoder, Any, int], object] | None:
    """How values of a type of the standard library's, of numpy's or of pandas' cross, if they do."""
    if (known := _EXTRA_BY_ID.get((id(kind), wide))) is not None:
        return known[1]
    file = extensions.of_type(kind, wide)
    found = file.encoder(kind) if file is not None else None
    _EXTRA_BY_ID[id(kind), wide] = kind, found  # the kind stays alive, so that its id stays its own
    return found


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


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _type_name(kind: type) -> str:
    """Module and qualified name, whatever a metaclass says."""
    name = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__module__"].__get__(kind)
    return f"{module}.{name}"[:200] if type(module) is str and module != "builtins" else str(name)[:200]
