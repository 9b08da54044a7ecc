"""Descriptor numbers and frames: what the host and a cell's processes agree on.

A frame is `<u32 big-endian length><JSON text>`. The receiver bounds the length before it reads on.
"""

from __future__ import annotations

import json
import os
import struct

STDIN, STDOUT, STDERR, PAYLOAD, RESULTS, RPC = range(6)

# How a child says that it never reached its main. A program can say so too: then its job is tried again
# elsewhere and finally `killed`, never excused.
SETUP_FAILED = 125

_HEADER = struct.Struct(">I")
HEADER_BYTES = _HEADER.size


class WireError(ValueError):
    """A frame is oversized, malformed or cut off."""


def pack(message: object) -> bytes:
    body = json.dumps(message, separators=(",", ":"), check_circular=False).encode()
    return _HEADER.pack(len(body)) + body


def unpack(body: bytes | bytearray, *, max_values: int | None = None) -> dict[str, object]:
    """The JSON object in a frame's body, of at most so many values. Raises only `WireError`."""
    if max_values is not None and len(body) > max_values and _holds_more(body, max_values):
        raise WireError(f"a frame holds more than {max_values} values")
    try:
        message = json.loads(body)
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


def read_all(fd: int) -> bytes:
    """Everything up to end-of-file."""
    chunks = []
    while chunk := os.read(fd, 1 << 20):
        chunks.append(chunk)
    return b"".join(chunks)


def read_payload() -> bytes:
    """The payload of this process, from its own descriptor, which is then closed."""
    data = read_all(PAYLOAD)
    os.close(PAYLOAD)
    return data


def send(fd: int, message: object) -> None:
    write_all(fd, pack(message))


def receive(fd: int, *, max_bytes: int) -> dict[str, object] | None:
    """The next frame's object (blocking), or None at end-of-file between frames. Raises `WireError`."""
    header = _read_exact(fd, HEADER_BYTES)
    if not header:
        return None
    if len(header) < HEADER_BYTES:
        raise WireError("a frame was cut off")
    length = body_length(header)
    if length > max_bytes:
        raise WireError(f"a frame of {length} bytes; at most {max_bytes} are taken")
    body = _read_exact(fd, length)
    if len(body) < length:
        raise WireError("a frame was cut off")
    return unpack(body)


def _read_exact(fd: int, size: int) -> bytes:
    """`size` bytes, or fewer at end-of-file."""
    data = bytearray()
    while len(data) < size and (chunk := os.read(fd, min(size - len(data), 1 << 20))):
        data += chunk
    return bytes(data)
