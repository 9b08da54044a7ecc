"""Frames: what is packed comes back; what a liar writes is refused, never more than refused."""

from __future__ import annotations

import json
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.inside import wire

messages = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=5)


@settings(deadline=None)  # the machine may be busy
@given(messages)
def test_a_frame_survives_the_pipe(message: dict[str, object]) -> None:
    reader, writer = os.pipe()
    try:
        wire.send(writer, message)
        wire.send(writer, {"next": message})
        os.close(writer)
        frames = wire.Frames(reader, max_bytes=1 << 20)
        assert frames.receive() == message
        assert frames.receive() == {"next": message}
        assert frames.receive() is None
    finally:
        os.close(reader)


def test_a_frame_may_come_in_pieces() -> None:
    reader, writer = os.pipe()
    frame = wire.pack({"text": "x" * 200_000})

    def write() -> None:
        for start in (0, 1, 3, 5, 100_000):
            os.write(writer, frame[start : {0: 1, 1: 3, 3: 5, 5: 100_000}.get(start, len(frame))])
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    assert wire.Frames(reader, max_bytes=1 << 20).receive() == {"text": "x" * 200_000}
    thread.join()
    os.close(reader)


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_an_object_or_a_wire_error(body: bytes) -> None:
    try:
        assert type(wire.unpack(body)) is dict
    except wire.WireError:
        return


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\0\0", "cut off"),
        (b"\0\0\0\5{}", "cut off"),
        (b"\xff\xff\xff\xff", "4294967295 bytes"),
        (b"\0\0\0\2[]", "must hold an object"),
        (b"\0\0\0\1{", "malformed"),
    ],
)
def test_what_is_wrong_with_a_frame_is_said(data: bytes, why: str) -> None:
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    try:
        with pytest.raises(wire.WireError, match=why):
            wire.Frames(reader, max_bytes=1000).receive()
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("body", "held"),
    [
        (b'{"a":[' + b"[]," * 300 + b"[]]}", False),
        (b'{"a":[' + b"1," * 300 + b"1]}", False),
        (b'{"a":{' + b",".join(b'"%d":{}' % n for n in range(300)) + b"}}", False),
        (b'{"a":["' + b'","' * 300 + b'"]}', False),
        (b'{"a":"' + b"[],{}" * 300 + b'"}', True),
        (b'{"a":"' + b'\\",[\\\\' * 300 + b'"}', True),
    ],
)
def test_values_in_a_frame_are_counted_before_they_are_made(body: bytes, held: bool) -> None:
    json.loads(body)
    if held:
        wire.unpack(body, max_values=200)
        return
    with pytest.raises(wire.WireError, match="more than 200 values"):
        wire.unpack(body, max_values=200)


def test_nesting_beyond_the_stack_is_malformed() -> None:
    with pytest.raises(wire.WireError, match="malformed"):
        wire.unpack(b'{"a":' * 200_000)
