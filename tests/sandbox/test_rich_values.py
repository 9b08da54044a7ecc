"""Values of the standard library, numpy's and pandas': they return as they were, and hostile text is refused."""

from __future__ import annotations

import array
import datetime
import io
import json
import pathlib
import time
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sandbox.inside.values import arrays as our_arrays
from sandbox.inside.values import containers, decoder, frames, standard
from sandbox.inside.values.codec import CodecError, Decoder, Encoder, Opaque, decode, dump, encode, load

ZONES = st.one_of(
    st.none(),
    st.sampled_from([datetime.UTC, zoneinfo.ZoneInfo("Europe/Paris")]),
    st.integers(-1439, 1439).map(lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))),
)
SCALARS = st.one_of(
    st.dates(),
    st.times(),
    st.datetimes(timezones=ZONES),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.text("ab/.", max_size=5).map(pathlib.PurePosixPath),
    st.builds(slice, st.none() | st.integers(), st.none() | st.integers()),
)
KEYS = st.one_of(st.text(max_size=3), st.integers(), st.dates(), st.uuids())
VALUES = st.recursive(
    st.one_of(SCALARS, st.integers(), st.text(max_size=3), st.none()),
    lambda inner: st.one_of(
        st.builds(deque, st.lists(inner, max_size=3), st.none() | st.just(5)),
        st.dictionaries(KEYS, inner, max_size=3).map(OrderedDict),
        st.dictionaries(KEYS, inner, max_size=3).map(lambda pairs: defaultdict(list, pairs)),
        st.lists(KEYS, max_size=4).map(Counter),
        st.lists(inner, max_size=3),
    ),
    max_leaves=10,
)
DTYPES = st.one_of(
    arrays.integer_dtypes(),
    arrays.floating_dtypes(sizes=(16, 32, 64)),
    arrays.boolean_dtypes(),
    arrays.complex_number_dtypes(sizes=(64, 128)),
    arrays.datetime64_dtypes(),
    arrays.unicode_string_dtypes(max_len=4),
)


def returned(value: object) -> Any:
    node = json.loads(dump(Encoder(wide=True).node(value)))
    return Decoder(wide=True, cyclic=True).value(node)


@given(VALUES)
def test_values_of_the_standard_library_return_exactly(value: object) -> None:
    got = returned(value)
    assert type(got) is type(value) and repr(got) == repr(value)


@given(arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, min_side=0)))
def test_arrays_return_exactly(value: Any) -> None:
    got = returned(value)
    assert got.dtype == value.dtype and got.shape == value.shape and got.tobytes() == value.tobytes()
    for item in value.ravel()[:1] if value.dtype.kind != "U" else []:  # those are plain text
        assert type(returned(item)) is type(item) and repr(returned(item)) == repr(item)


FRAMES = {
    "plain": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [1.5, None], "d": [True, False]}),
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": []}),
    "times": pd.DataFrame({"t": pd.date_range("2024-01-01", periods=3, tz="Europe/Paris")}),
    "kinds": pd.DataFrame({"k": pd.Categorical(["a", "b", "a"]), "i": pd.array([1, None, 3], dtype="Int64")}),
    "equal names": pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]),
    "levels": pd.DataFrame(
        {"x": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["p", "q"])
    ),
    "objects": pd.DataFrame({"o": [[1], {"a": datetime.date(2024, 1, 1)}]}),
    "names of two levels": pd.DataFrame({("a", "b"): [1], ("a", "c"): [2]}),
    "dates": pd.DataFrame({"v": [1, 2]}, index=pd.date_range("2024-01-01", periods=2, freq="MS")),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_return_exactly(name: str) -> None:
    frame = FRAMES[name]
    pd.testing.assert_frame_equal(returned(frame), frame)
    pd.testing.assert_index_equal(returned(frame.index), frame.index, exact=True)
    for number in range(frame.shape[1]):
        pd.testing.assert_series_equal(returned(frame.iloc[:, number]), frame.iloc[:, number])
    assert getattr(returned(frame.index), "freq", None) == getattr(frame.index, "freq", None)


def test_times_of_pandas_return_exactly() -> None:
    zoned = pd.Timestamp("2024-01-02", tz="Asia/Tokyo")
    for value in (pd.Timestamp("2024-01-02"), zoned, pd.Timedelta("3D"), pd.NaT, pd.NA):
        assert repr(returned(value)) == repr(value) and type(returned(value)) is type(value)


def test_containers_keep_their_identity_and_take_changes_back() -> None:
    mine: list[Any] = [
        deque([1], maxlen=3),
        OrderedDict(a=1),
        array.array("i", [1]),
        io.StringIO("ab"),
        np.zeros(2),
        pd.DataFrame({"a": [1]}),
        pd.Series([1]),
        Counter("a"),
    ]
    sender = Encoder(wide=True)
    receiver = Decoder(wide=True, cyclic=True)
    theirs = receiver.value(json.loads(json.dumps(sender.node([mine, mine[0]]))))
    assert theirs[0][0] is theirs[1]
    queue, ordered, numbers, stream, zeros, frame, series, counter = theirs[0]
    queue.extend([2, 3, 4])
    ordered.move_to_end("b") if ordered.setdefault("b", 2) is None else ordered.move_to_end("a")
    numbers.append(7)
    stream.seek(0, 2)
    stream.write("c")
    zeros += 1
    frame["b"] = "x"
    series[0] = 5
    counter["z"] += 2
    back = Encoder(wide=True, known=receiver.containers)
    contents = [back.content(container) for container in receiver.containers]
    apply = Decoder(wide=True, cyclic=True, known=sender.containers)
    for container, content in zip(sender.containers, json.loads(json.dumps(contents)), strict=True):
        apply.refill(container, content)
    assert mine[0] == deque([2, 3, 4]) and list(mine[1]) == ["b", "a"] and mine[2].tolist() == [1, 7]
    assert (mine[3].getvalue(), mine[3].tell()) == ("abc", 3) and mine[4].tolist() == [1, 1]
    assert mine[5]["b"].tolist() == ["x"] and mine[6].tolist() == [5] and mine[7] == Counter(a=1, z=2)


def test_the_arrays_of_a_frame_are_numbered_as_they_are_read() -> None:
    frame = pd.DataFrame([[1, 2.5]], columns=pd.Index(["a", "b"], dtype=object), index=[7])
    sender, receiver = Encoder(wide=True), Decoder(wide=True, cyclic=True)
    receiver.value(json.loads(json.dumps(sender.node(frame))))
    kinds = [getattr(container, "dtype", type(container)) for container in sender.containers]
    assert kinds == [getattr(container, "dtype", type(container)) for container in receiver.containers]


def test_the_host_gets_no_arrays_and_plain_numbers() -> None:
    values = [np.int64(3), np.bool_(True), np.float32(0.5), Counter("a"), Decimal("1.0"), Fraction(1, 2)]
    got: Any = decode(encode(values))
    assert got == [3, True, 0.5, {"a": 1}, Decimal(1), Fraction(1, 2)]
    assert [type(each) for each in got[:4]] == [int, bool, float, dict]
    for value in (np.zeros(2), pd.DataFrame(), deque([1]), pd.Timestamp("2024")):
        assert isinstance(decode(encode(value)), Opaque)
    with pytest.raises(CodecError):
        decode('{"ndarray":["<f8",[0],""]}')


@pytest.mark.parametrize(
    "kind", [datetime.date, Decimal, Fraction, uuid.UUID, deque, np.ndarray, pd.DataFrame]
)
def test_an_instance_of_a_subclass_is_no_such_value(kind: Any) -> None:
    lying = type("Lying", (kind,), {"__eq__": lambda *_: True, "__hash__": None})
    made = {
        datetime.date: lambda: lying(2024, 1, 1),
        uuid.UUID: lambda: lying(int=1),
        np.ndarray: lambda: lying((1,)),
    }.get(kind, lying)()
    assert isinstance(returned(made), Opaque)


def test_what_cannot_be_rebuilt_is_opaque() -> None:
    closed = io.StringIO()
    closed.close()
    periods = pd.DataFrame({"p": pd.period_range("2024", periods=2)})
    structured = np.zeros(1, dtype=[("a", "i4")])
    for value in (Decimal("1E+1000000"), Fraction(1, 1 << 40_000), closed, periods, structured):
        assert isinstance(returned(value), Opaque)


def test_an_array_larger_than_its_memory_is_refused_before_it_is_copied() -> None:
    with pytest.raises(CodecError):
        Encoder(wide=True).node(np.broadcast_to(1.0, (1 << 20, 1 << 20)))


TAGS = [
    *decoder.TAGS,
    *standard.DECODERS,
    *containers.DECODERS,
    *our_arrays.DECODERS,
    *frames.DECODERS,
    "timezone",
]
PARTS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9) | st.just(10**12),
    st.floats(),
    st.sampled_from(
        ["", "a", "<f8", "<U1", "O", "AAAAAAAAAAA=", "ns", "UTC", "range", "plain", "array", "items", "str"]
    ),
)
JSON = st.recursive(
    PARTS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.sampled_from(TAGS), inner, min_size=1, max_size=1)
    ),
    max_leaves=25,
)


@settings(max_examples=300)
@given(JSON)
def test_any_json_decodes_or_is_refused_soon(node: Any) -> None:
    started = time.process_time()
    with suppress(CodecError):
        Decoder(wide=True, cyclic=True).value(load(json.dumps(node)))
    assert time.process_time() - started < 2.0
