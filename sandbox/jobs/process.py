"""One process in a cell, seen from the host: feeds it, reads what it sends, and bounds that."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence

from sandbox.backends.cell import Cell, End
from sandbox.inside import wire
from sandbox.protocol import Limits, Status

_CHUNK = 1 << 18
_FRAME_VALUES = 200_000  # JSON values in a frame; what a call returns is one, a text
_PENDING_FRAMES = 50_000
# Between two looks at what processes send, which their pipes hold meanwhile. Waking up for each frame takes the
# processor from the program; most have ended before the first look.
_LOOK_SECONDS = 0.02
_MUCH = 1 << 15  # bytes in a pipe: a sender of so much is read without pause
MAX_SLOWDOWN = 4.0  # a job may take so many times its CPU seconds by the wall clock, on a busy machine


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
        self.frames: list[dict[str, object]] = []
        self.streams: dict[int, bytearray] = {}  # stdout and stderr by descriptor number
        self.verdict: Status | None = None
        self.complaint = ""  # what was wrong with what it sent
        self.at_end: Callable[[], None] | None = None  # called once, before its last results are taken in
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

    def tell_end(self) -> None:
        at_end, self.at_end = self.at_end, None
        if at_end is not None:
            at_end()

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
        else:
            process.tell_end()


class Clock:
    """Watches the time of a process's current test; CPU time first, wall time as the backstop.

    CPU time is the supervisor's count of the whole process tree, never the program's claim. The host decides when a
    test ends: frames that a program writes itself change nothing.
    """

    _SLACK_SECONDS = 0.05  # how old the count at a test's beginning may be

    def __init__(self, cell: Cell, limits: Limits, *, spent_cpu_seconds: float, deadline: float) -> None:
        """`spent_cpu_seconds`: by the job's earlier processes. `deadline`: of the job, by the monotonic clock, if it
        used no more CPU: what it uses moves it by `MAX_SLOWDOWN` times that."""
        self._cell = cell
        self.limits = limits
        self._spent = spent_cpu_seconds
        self._deadline = deadline
        self._cpu_at_start = self._cpu = 0.0
        self._started = self._looked = time.monotonic()

    def next_test(self) -> None:
        now = time.monotonic()
        if now - self._looked > self._SLACK_SECONDS:
            self._look(now)
        self._cpu_at_start = self._cpu
        self._started = now

    def remaining_seconds(self) -> float:
        """How long nothing can happen that `verdict` would report."""
        now = time.monotonic()
        return max(0.01, min(self._looked + self._cpu_left(), self._wall_end()) - now)

    def verdict(self) -> Status | None:
        """Whether the current test, or the job, is out of time."""
        now = time.monotonic()
        if now < min(self._wall_end(), self._looked + self._cpu_left()):
            return None
        self._look(now)
        if now >= self._wall_end():
            return Status.WALL_TIMEOUT
        return Status.CPU_TIMEOUT if self._cpu_left() <= 0 else None

    @property
    def job_is_over(self) -> bool:
        """Whether, by the last look, it is all tests together that used up their CPU time."""
        return self._cpu_of_job_left() <= 0

    def _cpu_left(self) -> float:
        of_test = self.limits.cpu_seconds - (self._cpu - self._cpu_at_start)
        return min(of_test, self._cpu_of_job_left())

    def _cpu_of_job_left(self) -> float:
        return self.limits.total_cpu_seconds - self._spent - self._cpu

    def _wall_end(self) -> float:
        return min(self._started + self.limits.wall_seconds, self._deadline + MAX_SLOWDOWN * self._cpu)

    def _look(self, now: float) -> None:
        self._cpu = self._cell.cpu_seconds()
        self._looked = now


def _sealed(payload: bytes) -> int:
    """A descriptor that reads `payload` to end-of-file, with nothing to feed it."""
    descriptor = os.memfd_create("payload", os.MFD_CLOEXEC)
    view, offset = memoryview(payload), 0
    while offset < len(view):
        offset += os.pwrite(descriptor, view[offset:], offset)
    return descriptor
