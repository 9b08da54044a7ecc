"""Descriptor numbers, messages and frames: what the host and a cell's supervisor and processes agree on.

Messages between host and supervisor are datagrams of fixed fields: with JSON the supervisor would write to 30 more
pages a process, each of which costs a fault after a fork.

A frame is `<u32 big-endian length><JSON text>`. The receiver bounds the length before it reads on.
"""

from __future__ import annotations

import fcntl
import json.decoder
import json.encoder
import os
import struct
from typing import Any, NamedTuple

STDIN, STDOUT, STDERR, PAYLOAD, RESULTS, RPC, EXECUTABLE = range(7)

# How a child says that it never reached its main. A program can say so too: then its job is tried again
# elsewhere and finally `killed`.
SETUP_FAILED = 125
# How a `calls` process says that all its results are sent. One that says so too early forfeits what is missing.
DONE = 124

OWN_FILE = "program.py"  # what a program's `__file__` names, in the scratch folder

MAINS = ("calls", "stdio", "serve", "judge", "build", "execute", "together", "check")

# Messages begin with a letter and, all but `HELLO` (whose rest is JSON), the run's number.
HELLO, START, KILL, USAGE, EXIT = b"h", b"s", b"k", b"u", b"e"
RUN = struct.Struct("<cI")  # KILL, and USAGE to the supervisor, are no more than that
STARTS = struct.Struct("<cIBB40s")  # its main's place in MAINS, number of descriptors, bounds
# Then a byte for each descriptor, its number in the process; then the names of modules, spaces between them.
USED = struct.Struct("<cId")  # CPU seconds so far
# Exit status or -signal, CPU seconds, peak bytes, over the memory limit, killed as the host had no memory, clean.
EXITS = struct.Struct("<cIidq???")


class Bounds(NamedTuple):
    """What the supervisor bounds of a process."""

    total_cpu_seconds: float
    memory_bytes: int
    processes: int
    open_files: int
    scratch_bytes: int


BOUNDS = struct.Struct("<d4q")

OWN_NUMBERS = 100  # a supervisor's own descriptors begin here, so that those it receives begin at 3

_READ_BYTES = 1 << 16
_HEADER = struct.Struct(">I")
HEADER_BYTES = _HEADER.size


class WireError(ValueError):
    """A frame is oversized, malformed or cut off."""


# `json.dumps` and `json.loads` with these options, without what they repeat for each text.
_encode = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, json.JSONEncoder().default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True
)
_scan = json.decoder.JSONDecoder().scan_once  # type: ignore[attr-defined]


def to_json(value: object) -> str:
    """Compact ASCII JSON. A cyclic value raises `RecursionError`."""
    return "".join(_encode(value, 0))


def from_json(text: str) -> Any:
    """The value of a text without white space around it. Raises `ValueError`, `RecursionError`, `MemoryError`."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no JSON value") from None
    if end != len(text):
        raise ValueError("more than one JSON value")
    return value


def set_aside(descriptor: int) -> int:
    """A supervisor's own descriptor, moved to its place."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, OWN_NUMBERS)
    os.close(descriptor)
    return moved


def pack(message: object) -> bytes:
    body = to_json(message).encode()
    return _HEADER.pack(len(body)) + body


def unpack(body: bytes | bytearray, *, max_values: int | None = None) -> dict[str, Any]:
    """The JSON object in a frame's body, of at most so many values. Raises only `WireError`."""
    if max_values is not None and len(body) > max_values and _holds_more(body, max_values):
        raise WireError(f"a frame holds more than {max_values} values")
    try:
        message = from_json(body.decode())
    except (ValueError, RecursionError, MemoryError) as error:
        raise WireError(f"malformed frame: {type(error).__name__}") from None
    if type(message) is not dict:
        raise WireError("a frame must hold an object")
    return message


def _holds_more(body: bytes | bytearray, values: int) -> bool:
    """Whether this JSON text stands for more values than that: parsed, each takes 20 times its text."""
    text = body.replace(rb"\\", b"").replace(rb"\"", b"")  # leaves the quotes that delimit strings
    if text.count(b'"') > 2 * values:
        return True
    outside = b"".join(text.split(b'"')[::2])
    return sum(map(outside.count, (b",", b"[", b"{"))) > values


def body_length(header: bytes | bytearray) -> int:
    (length,) = _HEADER.unpack(header[:HEADER_BYTES])
    return int(length)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_payload() -> dict[str, Any]:
    """The payload of this process, from its own descriptor, which is then closed."""
    data = os.pread(PAYLOAD, os.lseek(PAYLOAD, 0, os.SEEK_END), 0)
    os.close(PAYLOAD)
    payload: dict[str, Any] = from_json(data.decode())
    return payload


def send(fd: int, message: object) -> None:
    frame = pack(message)
    sent = os.write(fd, frame)
    if sent < len(frame):
        write_all(fd, frame[sent:])


class Frames:
    """The frames that come through `fd` (blocking)."""

    def __init__(self, fd: int, *, max_bytes: int) -> None:
        self._fd = fd
        self._max_bytes = max_bytes
        self._ahead = b""  # read already, of later frames

    def receive(self) -> dict[str, Any] | None:
        """The next frame's object, or None at end-of-file between frames. Raises `WireError`."""
        data = self._ahead or os.read(self._fd, _READ_BYTES)
        if not data:
            return None
        while len(data) < HEADER_BYTES:
            data += self._more()
        length = body_length(data)
        if length > self._max_bytes:
            raise WireError(f"a frame of {length} bytes; at most {self._max_bytes} are taken")
        end = HEADER_BYTES + length
        if len(data) < end:
            whole = bytearray(data)
            while len(whole) < end:
                whole += self._more()
            data = bytes(whole)
        self._ahead = data[end:]
        return unpack(data[HEADER_BYTES:end])

    def _more(self) -> bytes:
        if not (data := os.read(self._fd, _READ_BYTES)):
            raise WireError("a frame was cut off")
        return data
