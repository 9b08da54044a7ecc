"""Dates, decimals, paths and the like, by value: their exact types only, rebuilt from plain parts.

Loaded when a value or a text needs it. Sizes in a text are checked before anything is made of it: an exponent, for
instance, could make a short number cost the receiver all its memory once it is used.
"""

from __future__ import annotations

import datetime
import pathlib
import re
import sys
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sandbox.inside.values.plain import CodecError, parts_of, unbase64

if TYPE_CHECKING:
    from sandbox.inside.values.decoder import Decoder
    from sandbox.inside.values.encoder import Encoder

_MAX_DIGITS = 100_000  # of a decimal
_MAX_EXPONENT = 999_999  # of a decimal, as in Python's own context
_MAX_FRACTION_BITS = 1 << 15  # of each half: more would make reducing it slow
_PATHS = {
    kind.__name__: kind
    for kind in (
        type(pathlib.Path()),
        pathlib.Path,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
    )
}
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,3}")
_LONGEST_ZONE_NAME = 64


# Values to nodes. None: this one cannot cross by value.


def _time_parts(value: Any) -> list[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold]


def _with_zone(tag: str, parts: Callable[[Any], list[Any]]) -> Callable[[Encoder, Any, int], object]:
    def encode(encoder: Encoder, value: Any, depth: int) -> object:
        zone = value.tzinfo
        if zone is not None and type(zone) is not datetime.timezone and not _is_zone_info(type(zone)):
            return None
        return {tag: [*parts(value), encoder.node(zone, depth + 1)]}

    return encode


def _is_zone_info(kind: type) -> bool:
    module = sys.modules.get("zoneinfo")
    return module is not None and kind is module.ZoneInfo


def _timezone(encoder: Encoder, value: datetime.timezone, depth: int) -> object:
    offset = value.utcoffset(None)
    named = value.tzname(None) != datetime.timezone(offset).tzname(None)
    return {"timezone": [_delta_parts(offset), value.tzname(None) if named else None]}


def _delta_parts(value: datetime.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _decimal(encoder: Encoder, value: Decimal, depth: int) -> object:
    _, digits, exponent = value.as_tuple()
    if len(digits) > _MAX_DIGITS or (type(exponent) is int and abs(value.adjusted()) > _MAX_EXPONENT):
        return None
    return {"Decimal": str(value)}


def _fraction(encoder: Encoder, value: Fraction, depth: int) -> object:
    parts = value.numerator, value.denominator
    if max(part.bit_length() for part in parts) > _MAX_FRACTION_BITS:
        return None
    return {"Fraction": [encoder.integer(part) for part in parts]}


ENCODERS: dict[type, Callable[[Encoder, Any, int], object]] = {
    datetime.date: lambda encoder, value, depth: {"date": [value.year, value.month, value.day]},
    datetime.time: _with_zone("time", _time_parts),
    datetime.datetime: _with_zone(
        "datetime", lambda value: [value.year, value.month, value.day, *_time_parts(value)]
    ),
    datetime.timedelta: lambda encoder, value, depth: {"timedelta": _delta_parts(value)},
    datetime.timezone: _timezone,
    Decimal: _decimal,
    Fraction: _fraction,
    uuid.UUID: lambda encoder, value, depth: {"UUID": encoder.integer(value.int)},
    memoryview: lambda encoder, value, depth: {"memoryview": encoder.binary(value.tobytes())},
    slice: lambda encoder, value, depth: {
        "slice": encoder.nodes((value.start, value.stop, value.step), depth)
    },
    **{
        kind: lambda encoder, value, depth: {"Path": [type(value).__name__, encoder.string(str(value))]}
        for kind in _PATHS.values()
    },
}


def encoder(kind: type) -> Callable[[Encoder, Any, int], object] | None:
    """How values of exactly this type become nodes, if they cross by value."""
    if _is_zone_info(kind):
        return lambda encoder, value, depth: {"ZoneInfo": value.key}
    return _ENCODERS_BY_ID.get(id(kind))


# By id: a metaclass may redefine its classes' hash.
_ENCODERS_BY_ID = {id(kind): encode for kind, encode in ENCODERS.items()}


# Nodes to values: bad input is refused by CodecError, ValueError, TypeError or OverflowError.


def _ints(node: object, count: int) -> list[int]:
    if type(node) is not list or len(node) != count or any(type(part) is not int for part in node):
        raise CodecError(f"expected {count} ints")
    return node


def _zone(decoder: Decoder, node: object) -> datetime.tzinfo | None:
    if node is None:
        return None
    if type(node) is not dict or list(node) not in (["timezone"], ["ZoneInfo"]):
        raise CodecError("expected a time zone")
    zone: datetime.tzinfo = decoder.value(node)
    return zone


def _to_time(decoder: Decoder, node: object, depth: int) -> datetime.time:
    *parts, zone = parts_of(node, 6)
    *clock, fold = _ints(parts, 5)
    return datetime.time(*clock, fold=fold, tzinfo=_zone(decoder, zone))  # type: ignore[misc, arg-type]


def _to_datetime(decoder: Decoder, node: object, depth: int) -> datetime.datetime:
    *parts, zone = parts_of(node, 9)
    *moment, fold = _ints(parts, 8)
    return datetime.datetime(*moment, fold=fold, tzinfo=_zone(decoder, zone))  # type: ignore[misc, arg-type]


def _to_timezone(decoder: Decoder, node: object, depth: int) -> datetime.timezone:
    parts, name = parts_of(node, 2)
    offset = datetime.timedelta(*_ints(parts, 3))
    if name is None:
        return datetime.timezone(offset)  # utc itself where that is meant
    return datetime.timezone(offset, name)


def _to_zone_info(decoder: Decoder, name: object, depth: int) -> datetime.tzinfo:
    import zoneinfo  # where a value of it crosses

    if type(name) is not str or len(name) > _LONGEST_ZONE_NAME or not _ZONE_NAME.fullmatch(name):
        raise CodecError("not a time zone's name")
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        raise CodecError(f"no time zone {name!r} here") from None


def _to_decimal(decoder: Decoder, text: object, depth: int) -> Decimal:
    if type(text) is not str or len(text) > _MAX_DIGITS + 20:
        raise CodecError("expected a decimal")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise CodecError("expected a decimal") from None
    if value.is_finite() and abs(value.adjusted()) > _MAX_EXPONENT:
        raise CodecError("a decimal's exponent is too large")
    return value


def _to_fraction(decoder: Decoder, node: object, depth: int) -> Fraction:
    parts = [decoder.value(part) for part in parts_of(node, 2)]
    if any(type(part) is not int or part.bit_length() > _MAX_FRACTION_BITS for part in parts) or not parts[1]:
        raise CodecError("expected a fraction")
    return Fraction(*parts)


def _to_uuid(decoder: Decoder, node: object, depth: int) -> uuid.UUID:
    number = decoder.value(node)
    if type(number) is not int:
        raise CodecError("expected an int")
    return uuid.UUID(int=number)


def _to_path(decoder: Decoder, node: object, depth: int) -> pathlib.PurePath:
    name, node = parts_of(node, 2)
    text = decoder.value(node)
    if type(name) is not str or name not in _PATHS or type(text) is not str:
        raise CodecError("expected a path")
    return _PATHS[name](text)


def _to_memoryview(decoder: Decoder, text: object, depth: int) -> memoryview:
    return memoryview(unbase64(text))


DECODERS: dict[str, Callable[[Decoder, Any, int], Any]] = {
    "date": lambda decoder, node, depth: datetime.date(*_ints(node, 3)),
    "time": _to_time,
    "datetime": _to_datetime,
    "timedelta": lambda decoder, node, depth: datetime.timedelta(*_ints(node, 3)),
    "timezone": _to_timezone,
    "ZoneInfo": _to_zone_info,
    "Decimal": _to_decimal,
    "Fraction": _to_fraction,
    "UUID": _to_uuid,
    "Path": _to_path,
    "memoryview": _to_memoryview,
    "slice": lambda decoder, node, depth: slice(*parts_of(decoder.items(node, depth), 3)),
}
