"""pandas' frames, series, indexes and times, by value: rebuilt from arrays and plain items.

Loaded once such a value crosses; the receiver imports pandas then, if it has not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy
import pandas

from sandbox.inside.values.plain import MAX_NODES, CodecError, parts_of

if TYPE_CHECKING:
    from sandbox.inside.values.decoder import Decoder
    from sandbox.inside.values.encoder import Encoder

_ITEM_TYPES = re.compile(r"(?:U?Int|Float)\d{1,2}|boolean|str|string")
_UNITS = ("s", "ms", "us", "ns")
_ZONE = re.compile(r"(?!dateutil|/)[A-Za-z0-9_+:/-]{1,64}")
_FREQUENCY = re.compile(r"[A-Za-z0-9-]{1,20}")
_INDEXES = (
    pandas.Index,
    pandas.RangeIndex,
    pandas.MultiIndex,
    pandas.DatetimeIndex,
    pandas.TimedeltaIndex,
    pandas.CategoricalIndex,
)
_MISSING: dict[str, Any] = {"NaT": pandas.NaT, "NA": pandas.NA}


def encoder(kind: type) -> Callable[[Encoder, Any, int], object] | None:
    return next((encode for known, encode in ENCODERS.items() if known is kind), None)


class _Unknown(Exception):
    """A part that cannot cross by value; nor can the whole then."""


def _by_value(
    tag: str, parts: Callable[[Encoder, Any, int], list[Any]]
) -> Callable[[Encoder, Any, int], object]:
    def encode(encoder: Encoder, value: Any, depth: int) -> object:
        if not encoder.wide:
            return None
        try:
            if type(value) in CONTENTS:
                _check(value)
                return encoder.reference(value) or {tag: parts(encoder, value, depth)}
            return {tag: parts(encoder, value, depth)}
        except _Unknown:
            return None

    return encode


def _check(value: Any) -> None:
    """Whether all of a frame's or a series' parts can cross, before anything of it is numbered."""
    columns = [value.iloc[:, n] for n in range(value.shape[1])] if value.ndim == 2 else [value]
    indexes = [*value.axes]
    for column in columns:
        _kind_of(column.array)
    for index in indexes:
        _check_index(index)


def _check_index(index: Any) -> None:
    if type(index) not in _INDEXES:
        raise _Unknown
    for level in index.levels if type(index) is pandas.MultiIndex else [index]:
        _kind_of(level.array)


def _kind_of(values: Any) -> str:
    kind = values.dtype
    if isinstance(kind, numpy.dtype):
        return "array"
    if isinstance(kind, pandas.DatetimeTZDtype):
        return "zoned"
    if isinstance(kind, pandas.CategoricalDtype):
        return "category"
    if _ITEM_TYPES.fullmatch(str(kind)):
        return "items"
    if type(values) is pandas.arrays.NumpyExtensionArray:
        return "array"
    raise _Unknown


def _column(encoder: Encoder, values: Any, depth: int) -> list[Any]:
    kind = _kind_of(values)
    if kind == "array":
        return [kind, encoder.node(numpy.asarray(values), depth)]
    if kind == "zoned":
        moments = numpy.asarray(values.tz_convert("UTC").tz_localize(None)).view("i8")
        return [kind, values.dtype.unit, str(values.dtype.tz), encoder.node(moments, depth)]
    if kind == "category":
        categories = _index_parts(encoder, values.categories, depth)
        return [kind, categories, encoder.node(numpy.asarray(values.codes), depth), bool(values.ordered)]
    items = [None if missing else item for item, missing in zip(values, pandas.isna(values), strict=True)]
    return [kind, str(values.dtype), encoder.nodes(items, depth)]


def _index_parts(encoder: Encoder, index: Any, depth: int) -> list[Any]:
    _check_index(index)
    kind = type(index)
    name = encoder.node(index.name, depth)
    if kind is pandas.RangeIndex:
        return ["range", name, index.start, index.stop, index.step]
    if kind is pandas.MultiIndex:
        levels = [_column(encoder, index.get_level_values(n).array, depth) for n in range(index.nlevels)]
        return ["multi", encoder.nodes(index.names, depth), levels]
    frequency = index.freqstr if kind in (pandas.DatetimeIndex, pandas.TimedeltaIndex) else None
    return ["plain", name, _column(encoder, index.array, depth), frequency]


def _frame_parts(encoder: Encoder, frame: Any, depth: int) -> list[Any]:
    indexes = [
        _index_parts(encoder, index, depth) for index in frame.axes
    ]  # first: arrays are numbered in this order
    return [*indexes, [_column(encoder, frame.iloc[:, n].array, depth) for n in range(frame.shape[1])]]


def _series_parts(encoder: Encoder, series: Any, depth: int) -> list[Any]:
    return [
        _index_parts(encoder, series.index, depth),
        encoder.node(series.name, depth),
        _column(encoder, series.array, depth),
    ]


def _moment(encoder: Encoder, moment: Any, depth: int) -> list[Any]:
    zone = str(moment.tz) if moment.tz is not None else None
    return [int(moment.asm8.view("i8")), moment.unit, zone]


CONTENTS: dict[type, Callable[[Encoder, Any, int], list[Any]]] = {
    pandas.DataFrame: _frame_parts,
    pandas.Series: _series_parts,
}
ENCODERS: dict[Any, Callable[[Encoder, Any, int], object]] = {
    pandas.DataFrame: _by_value("DataFrame", _frame_parts),
    pandas.Series: _by_value("Series", _series_parts),
    **dict.fromkeys(_INDEXES, _by_value("Index", _index_parts)),
    pandas.Timestamp: _by_value("Timestamp", _moment),
    pandas.Timedelta: _by_value(
        "Timedelta", lambda encoder, value, depth: [int(value.asm8.view("i8")), value.unit]
    ),
    type(pandas.NaT): lambda encoder, value, depth: {"missing": "NaT"},
    type(pandas.NA): lambda encoder, value, depth: {"missing": "NA"},
}


# Nodes to values.


def _text(value: object, form: re.Pattern[str]) -> str:
    if type(value) is not str or not form.fullmatch(value):
        raise CodecError("malformed text")
    return value


def _unit(value: object) -> str:
    if type(value) is not str or value not in _UNITS:
        raise CodecError("not a unit of time")
    return value


def _vector(decoder: Decoder, node: object, kinds: str = "") -> Any:
    value = decoder.value(node)
    if type(value) is not numpy.ndarray or value.ndim != 1 or (kinds and value.dtype.kind not in kinds):
        raise CodecError("expected an array of one axis")
    return value


def _to_column(decoder: Decoder, node: object, depth: int) -> Any:
    kind = node[0] if type(node) is list and node else None
    if kind == "array":
        return _vector(decoder, parts_of(node, 2)[1])
    if kind == "zoned":
        _, unit, zone, moments = parts_of(node, 4)
        times = pandas.DatetimeIndex(_vector(decoder, moments, "i").view(f"M8[{_unit(unit)}]"))
        return times.tz_localize("UTC").tz_convert(_text(zone, _ZONE)).array
    if kind == "category":
        _, categories, codes, ordered = parts_of(node, 4)
        known = _to_index(decoder, categories, depth)
        return pandas.Categorical.from_codes(_vector(decoder, codes, "i"), known, ordered=ordered is True)
    if kind == "items":
        _, name, items = parts_of(node, 3)
        values: Any = decoder.items(items, depth)
        return pandas.array(values, dtype=_text(name, _ITEM_TYPES))
    raise CodecError("not a column")


def _to_index(decoder: Decoder, node: object, depth: int) -> Any:
    kind = node[0] if type(node) is list and node else None
    if kind == "range":
        name, *parts = parts_of(node, 5)[1:]
        if any(type(part) is not int for part in parts) or len(range(*parts)) > MAX_NODES:
            raise CodecError("not the range of an index")
        return pandas.RangeIndex(*parts, name=decoder.value(name))  # type: ignore[misc]
    if kind == "multi":
        names, levels = parts_of(node, 3)[1:]
        if type(levels) is not list:
            raise CodecError("expected levels")
        columns = [_to_column(decoder, level, depth) for level in levels]
        return pandas.MultiIndex.from_arrays(columns, names=decoder.items(names, depth))
    if kind == "plain":
        name, column, frequency = parts_of(node, 4)[1:]
        values: Any = _to_column(decoder, column, depth)
        index: Any = pandas.Index(values, dtype=values.dtype, name=decoder.value(name))
        if frequency is not None:
            index = type(index)(index, freq=_text(frequency, _FREQUENCY), name=index.name)
        return index
    raise CodecError("not an index")


def _to_frame(decoder: Decoder, node: object, depth: int) -> Any:
    return decoder.build(
        frame := pandas.DataFrame(), depth, lambda: _refill_frame(decoder, frame, node, depth)
    )


def _refill_frame(decoder: Decoder, frame: Any, node: object, depth: int) -> None:
    rows, columns, values = parts_of(node, 3)
    index, names = _to_index(decoder, rows, depth), _to_index(decoder, columns, depth)
    if type(values) is not list or len(values) != len(names):
        raise CodecError("a frame's columns do not fit their names")
    data = [_to_column(decoder, column, depth) for column in values]
    if any(len(column) != len(index) for column in data):
        raise CodecError("a frame's columns do not fit its rows")
    whole = pandas.DataFrame(dict(enumerate(data)), index=index)
    whole.columns = names
    frame.__init__(whole)


def _to_series(decoder: Decoder, node: object, depth: int) -> Any:
    series = pandas.Series([], dtype=object)
    return decoder.build(series, depth, lambda: _refill_series(decoder, series, node, depth))


def _refill_series(decoder: Decoder, series: Any, node: object, depth: int) -> None:
    index, name, values = parts_of(node, 3)
    rows, column = _to_index(decoder, index, depth), _to_column(decoder, values, depth)
    if len(rows) != len(column):
        raise CodecError("a series' values do not fit its index")
    series.__init__(pandas.Series(column, index=rows, dtype=column.dtype, name=decoder.value(name)))


def _to_moment(decoder: Decoder, node: object, depth: int) -> Any:
    number, unit, zone = parts_of(node, 3)
    if type(number) is not int:
        raise CodecError("expected an int")
    moment: Any = pandas.Timestamp(numpy.datetime64(number, _unit(unit)))  # type: ignore[call-overload]
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(_text(zone, _ZONE))


def _to_timedelta(decoder: Decoder, node: object, depth: int) -> Any:
    number, unit = parts_of(node, 2)
    if type(number) is not int:
        raise CodecError("expected an int")
    return pandas.Timedelta(numpy.timedelta64(number, _unit(unit)))  # type: ignore[call-overload]


def _missing(decoder: Decoder, name: object, depth: int) -> Any:
    if type(name) is not str or name not in _MISSING:
        raise CodecError("unknown kind of what is missing")
    return _MISSING[name]


REFILLS: dict[type, Callable[[Decoder, Any, Any, int], None]] = {
    pandas.DataFrame: _refill_frame,
    pandas.Series: _refill_series,
}
DECODERS: dict[str, Callable[[Decoder, Any, int], Any]] = {
    "DataFrame": _to_frame,
    "Series": _to_series,
    "Index": _to_index,
    "Timestamp": _to_moment,
    "Timedelta": _to_timedelta,
    "missing": _missing,
}
