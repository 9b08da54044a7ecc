"""One process in a cell, seen from the host: feeds it, reads what it sends, and bounds that."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from sandbox.backends.cell import Cell, End
from sandbox.errors import CellLost
from sandbox.inside import wire
from sandbox.jobs.ledger import Clock
from sandbox.protocol import Limits, Status

_CHUNK = 1 << 18
_FRAME_VALUES = 200_000  # JSON values in a frame; what a call returns is one, a text
_PENDING_FRAMES = 50_000
# Between two looks at what processes send, which their pipes hold meanwhile. Waking up for each frame takes the
# processor from the program; most have ended before the first look.
_LOOK_SECONDS = 0.02
_MUCH = 1 << 15  # bytes in a pipe: a sender of so much is read without pause
_GRACE_SECONDS = 0.5  # to exit, once all results are in
_KILL_SECONDS = 5.0  # before an unanswered request to kill is repeated


class Process:
    """A running process. `pump` moves its data; `frames` and `stdout` hold what came.

    `verdict` says why we killed it, if we did. What arrives is untrusted: it is bounded, then parsed.
    """

    def __init__(
        self,
        cell: Cell,
        main: str,
        payload: bytes,
        limits: Limits,
        *,
        stdin: bytes | None = None,
        rpc: int | None = None,
        executable: int | None = None,
        joined: tuple[int, int] | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        """With `stdin`, descriptors 0 to 2 are pipes to us; else /dev/null. `rpc` becomes 5, `executable` 6;
        `joined` become 0 and 1."""
        self.cell = cell
        self.frames: list[dict[str, Any]] = []
        self.streams: dict[int, bytearray] = {}  # stdout and stderr by descriptor number
        self.verdict: Status | None = None
        self.complaint = ""  # what was wrong with what it sent
        self._limits = limits
        self._partial = bytearray()
        self._frame_bytes = 0  # of all frames so far
        self._stdin = memoryview(stdin or b"")
        self._ours: dict[int, int] = {}  # its descriptor number -> our end
        self.busy = False  # it sends or takes much
        theirs = {wire.PAYLOAD: _sealed(payload)}
        try:
            self._pipe(theirs, wire.RESULTS)
            if stdin is not None:
                self._pipe(theirs, wire.STDOUT)
                self._pipe(theirs, wire.STDERR)
                theirs[wire.STDIN], self._ours[wire.STDIN] = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                os.set_blocking(theirs[wire.STDIN], True)
                for number in (wire.STDIN, wire.STDOUT, wire.STDERR):
                    os.fchmod(theirs[number], 0o666)  # else another user cannot open /dev/stdin and its like
                self.streams = {wire.STDOUT: bytearray(), wire.STDERR: bytearray()}
            shared = theirs if rpc is None else {**theirs, wire.RPC: rpc}
            if joined is not None:
                self._pipe(theirs, wire.STDERR)
                self.streams = {wire.STDOUT: bytearray(), wire.STDERR: bytearray()}
                shared = {**theirs, wire.STDIN: joined[0], wire.STDOUT: joined[1]}
            shared = shared if executable is None else {**shared, wire.EXECUTABLE: executable}
            self._feed()
            self.busy = wire.STDIN in self._ours
            self._run = cell.start(main, limits, shared, modules)
        except BaseException:
            self.close()
            raise
        finally:
            for descriptor in theirs.values():
                os.close(descriptor)

    @property
    def end(self) -> End | None:
        return self._run.end

    @property
    def never_began(self) -> bool:
        """It ended before its main, by what its exit status says (a program can say so too)."""
        return self.end is not None and self.end.code == wire.SETUP_FAILED and not self._frame_bytes

    def kill(self, verdict: Status, complaint: str = "") -> None:
        """Kill it for `verdict`; the first verdict stands. Its `end` follows by `pump`."""
        if self.verdict is None and self.end is None:
            self.verdict = verdict
            self.complaint = complaint
            self.cell.kill()

    def close(self) -> None:
        for descriptor in self._ours.values():
            os.close(descriptor)
        self._ours.clear()

    def _pipe(self, theirs: dict[int, int], number: int) -> None:
        ours, theirs[number] = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(ours, False)
        self._ours[number] = ours

    def register(self, poller: select.poll) -> None:
        """Let `poller` wait for our ends."""
        for number, ours in self._ours.items():
            poller.register(ours, select.POLLOUT if number == wire.STDIN else select.POLLIN)

    def transfer(self) -> None:
        """Move what can be moved through our ends now, without blocking."""
        self._feed()
        moved = [self._drain(number) for number in list(self._ours) if number != wire.STDIN]
        self.busy |= max(moved, default=0) >= _MUCH

    def taken(self) -> list[dict[str, Any]]:
        """The frames that came since the last time; all there will be, if the process has ended."""
        if self.end is not None:
            self.drain_all()
        frames, self.frames = self.frames, []
        return frames

    def drain_all(self) -> None:
        """Take in what is left in the pipes of an ended process."""
        for number in list(self._ours):
            while number != wire.STDIN and number in self._ours and self._drain(number):
                continue

    def _feed(self) -> None:
        if wire.STDIN not in self._ours:
            return
        try:
            sent = os.write(self._ours[wire.STDIN], self._stdin[:_CHUNK]) if self._stdin else 0
            self._stdin = self._stdin[sent:]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._stdin = self._stdin[:0]
        if not self._stdin:
            os.close(self._ours.pop(wire.STDIN))

    def _drain(self, number: int) -> int:
        """Read once; how many bytes there were (the end of a stream closes our end)."""
        try:
            data = os.read(self._ours[number], _CHUNK)
        except BlockingIOError:
            return 0
        if not data:
            os.close(self._ours.pop(number))
            return 0
        if self.verdict is not None:
            return len(data)  # being killed: let it drain
        if number == wire.RESULTS:
            self._parse(data)
            return len(data)
        stream = self.streams[number]
        room = self._limits.output_bytes - len(stream)
        stream += data[:room]
        if (
            len(data) > room and number == wire.STDOUT
        ):  # of stderr, which decides nothing, the rest is dropped
            self.kill(Status.OUTPUT_LIMIT, f"more than {self._limits.output_bytes} bytes of output")
            self.verdict = Status.OUTPUT_LIMIT
        return len(data)

    def _parse(self, data: bytes) -> None:
        """Cut `data` into frames. A frame that cannot be one of ours ends the process."""
        partial = self._partial
        partial += data
        most = self._limits.value_bytes + 4 * self._limits.output_bytes
        while len(partial) >= wire.HEADER_BYTES:
            size = wire.HEADER_BYTES + wire.body_length(partial)
            if size > 2 * most:
                self._refuse(Status.OUTPUT_LIMIT, "an oversized result")
                return
            if len(partial) < size:
                return
            try:
                self.frames.append(wire.unpack(partial[wire.HEADER_BYTES : size], max_values=_FRAME_VALUES))
            except Exception as error:  # noqa: BLE001 - the sender is charged
                self._refuse(
                    Status.KILLED, str(error) if isinstance(error, wire.WireError) else "malformed frame"
                )
                return
            self._frame_bytes += size
            del partial[:size]
        if self._frame_bytes > 4 * most or len(self.frames) > _PENDING_FRAMES:
            self._refuse(Status.OUTPUT_LIMIT, "too many results")

    def _refuse(self, verdict: Status, complaint: str) -> None:
        self.kill(verdict, complaint)
        self.verdict, self.complaint = verdict, complaint  # also where it has ended by itself
        self._partial.clear()


def pump(processes: Sequence[Process], timeout_seconds: float) -> None:
    """Wait until some process has something to say or take, or the timeout; move it."""
    poller = select.poll()
    for process in processes:
        poller.register(process.cell.control, select.POLLIN)
        if process.busy:
            process.register(poller)
        else:
            timeout_seconds = min(timeout_seconds, _LOOK_SECONDS)
    ready = {descriptor for descriptor, _ in poller.poll(max(0.0, timeout_seconds) * 1000)}
    for process in processes:
        if process.cell.control.fileno() in ready:
            process.cell.read()
        if process.end is None:
            process.transfer()


def frames_of(process: Process, clock: Clock, results_expected: int = 0) -> Iterator[dict[str, Any]]:
    """The process's frames as they come, until it has ended; it is killed where it is out of time.

    Each of the first `results_expected` results begins a test and restarts the clock. No other frame does.
    """
    while process.end is None:
        pump([process], clock.remaining_seconds())
        frames = process.taken()
        if frames and process.end is None and results_expected > 0:
            clock.next_test()
        results_expected -= len(frames)
        yield from frames
        if process.end is None and (late := clock.verdict()):
            process.kill(late)
    yield from process.taken()


def finish(process: Process) -> End:
    """Wait until the process has ended; kill it if it does not end by itself. Raises `CellLost`."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while process.end is None:
        pump([process], deadline - time.monotonic())
        if process.end is None and time.monotonic() >= deadline:
            process.cell.kill()
            deadline += _KILL_SECONDS
    process.drain_all()
    if process.never_began:
        raise CellLost(f"{process.cell.role} cell: a process could not be set up")
    return process.end


def run_to_end(process: Process, clock: Clock) -> tuple[list[dict[str, Any]], End]:
    """All frames of a process that is one test, and its end. Raises `CellLost`."""
    with closing(process):
        return list(frames_of(process, clock)), finish(process)


def _sealed(payload: bytes) -> int:
    """A descriptor that reads `payload` to end-of-file, with nothing to feed it."""
    descriptor = os.memfd_create("payload", os.MFD_CLOEXEC)
    view, offset = memoryview(payload), 0
    while offset < len(view):
        offset += os.pwrite(descriptor, view[offset:], offset)
    return descriptor
