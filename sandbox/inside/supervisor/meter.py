"""What the processes of a cell use: CPU seconds, memory, out-of-memory kills, files.

A container has a cgroup, which bounds memory and counts exactly. Without one the numbers are summed over
/proc, and the supervisor enforces the memory limit itself (`enforced` says which).
"""

from __future__ import annotations

import os
import resource
import stat
from contextlib import suppress
from typing import NamedTuple

from sandbox.inside import wire

WRITABLE = ("/tmp", "/dev/shm")
_CGROUP = "/sys/fs/cgroup"
_PAGE = os.sysconf("SC_PAGESIZE")
_INODE_BYTES = 1024  # of kernel memory, about
_CHARGE_BYTES = 1 << 20  # so much is more than what is asked for at a time when a limit is met
_TICKS = os.sysconf("SC_CLK_TCK")


class Mark(NamedTuple):
    """Counters at one moment."""

    cpu: float
    oom_kills: int = 0  # by whatever ran out of memory: this cgroup, one around it, or the host
    limit_hits: int = 0  # how often this cgroup's own limit left no way out


class Use(NamedTuple):
    cpu: float
    over_limit: bool = False  # a process was killed at the memory limit of the cell
    host_out_of_memory: bool = False  # or although the cell was within it


def tmpfs_use() -> list[tuple[int, int]]:
    """(pages, inodes) used of each writable place: equal numbers mean that nothing was left there."""
    use = []
    for place in WRITABLE:
        found = os.statvfs(place)
        use.append((found.f_blocks - found.f_bfree, found.f_files - found.f_ffree))
    return use


class CgroupMeter:
    """Counters of the container's own cgroup; it bounds the memory."""

    enforced = True

    def __init__(self) -> None:
        if os.path.exists(f"{_CGROUP}/memory.events"):  # version 2
            self._events, self._cpu = _open("memory.events"), _open("cpu.stat")
            self._cpu_field, self._cpu_unit = b"usage_usec", 1e-6
            self._peak_and_limit: tuple[int, int] | None = None
        else:
            self._events, self._cpu = _open("memory/memory.oom_control"), _open("cpuacct/cpuacct.usage")
            self._cpu_field, self._cpu_unit = b"", 1e-9
            # With swap, which has the same limit, where that is counted.
            swaps = os.path.exists(f"{_CGROUP}/memory/memory.memsw.limit_in_bytes")
            kind = "memory/memory.memsw" if swaps else "memory/memory"
            self._peak_and_limit = _open(f"{kind}.max_usage_in_bytes"), _open(f"{kind}.limit_in_bytes")
        self._mark = Mark(0.0)

    def start(self) -> Mark:
        hits = 0 if self._peak_and_limit else _field(self._events, b"oom")
        self._mark = Mark(self._cpu_total(), _field(self._events, b"oom_kill"), hits)
        return self._mark

    def since(self, mark: Mark) -> Use:
        killed = _field(self._events, b"oom_kill") > mark.oom_kills
        over_limit = killed and self._met_its_limit(mark)
        return Use(self._cpu_total() - mark.cpu, over_limit, killed and not over_limit)

    def cpu_seconds(self) -> float:
        return self._cpu_total() - self._mark.cpu

    def memory_bytes(self) -> int:
        return 0  # the kernel enforces it

    def reaped(self, usage: resource.struct_rusage) -> None:
        """Nothing to add: the cgroup counts the dead too."""

    def _cpu_total(self) -> float:
        return _field(self._cpu, self._cpu_field) * self._cpu_unit

    def _met_its_limit(self, mark: Mark) -> bool:
        """Since `mark`; in version 1, which does not count that, ever (newer kernels leave its `failcnt` at 0)."""
        if self._peak_and_limit is None:
            return _field(self._events, b"oom") > mark.limit_hits
        peak, limit = (_field(descriptor, b"") for descriptor in self._peak_and_limit)
        return peak > limit - _CHARGE_BYTES


class ProcMeter:
    """Sums over /proc: what processes whose parents never wait for them used before they died is lost."""

    enforced = False

    def __init__(self) -> None:
        self._of_the_dead = 0.0
        self._baseline_bytes = _anonymous_bytes("self")

    def start(self) -> Mark:
        self._of_the_dead = 0.0
        return Mark(0.0)

    def since(self, mark: Mark) -> Use:
        return Use(self._of_the_dead)

    def cpu_seconds(self) -> float:
        return self._of_the_dead + sum(map(_cpu_of, self.processes()))

    def memory_bytes(self) -> int:
        """Private and shared memory of all processes, beyond what they share with the supervisor; files."""
        own = self._baseline_bytes
        return self.file_bytes() + sum(max(0, _anonymous_bytes(pid) - own) for pid in self.processes())

    def processes(self) -> list[str]:
        return [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]

    def file_bytes(self) -> int:
        return sum(pages * _PAGE + inodes * _INODE_BYTES for pages, inodes in tmpfs_use())

    def reaped(self, usage: resource.struct_rusage) -> None:
        self._of_the_dead += usage.ru_utime + usage.ru_stime


class ProcessMeter(ProcMeter):
    """The one process `pid`, among others that are not ours."""

    pid: int | None = None

    def processes(self) -> list[str]:
        return [] if self.pid is None else [str(self.pid)]

    def threads(self) -> int:
        return sum(_status(pid, "Threads") for pid in self.processes())

    def file_bytes(self) -> int:
        return 0  # the supervisor looks at them where there are any

    def deleted_bytes(self) -> int:
        """Of files that have no name any more, but are open or mapped."""
        try:
            return sum(_open_deleted_bytes(pid) + _mapped_deleted_bytes(pid) for pid in self.processes())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return 0  # it has begun to end, which makes its /proc entries root's for a moment


Meter = CgroupMeter | ProcMeter


def open_meter() -> Meter:
    try:
        return CgroupMeter()
    except FileNotFoundError:
        return ProcMeter()


def _open(name: str) -> int:
    return wire.set_aside(os.open(f"{_CGROUP}/{name}", os.O_RDONLY))


def _field(descriptor: int, name: bytes) -> int:
    """The number after `name` in a file of `name number` lines, or the file's only number."""
    content = os.pread(descriptor, 4096, 0)
    if not name:
        return int(content)
    start = (b"\n" + content).index(b"\n" + name + b" ") + len(name) + 1
    return int(content[start : content.index(b"\n", start)])


def _anonymous_bytes(pid: str) -> int:
    return 1024 * _status(pid, "RssAnon", "RssShmem")


def _status(pid: str, *names: str) -> int:
    """The sum of these fields; 0 where the process has ended meanwhile."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return sum(int(line.split()[1]) for line in status if line.startswith(names))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _open_deleted_bytes(pid: str) -> int:
    used = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            found = os.stat(f"/proc/{pid}/fd/{name}")
            if stat.S_ISREG(found.st_mode) and not found.st_nlink:
                used += 512 * found.st_blocks
    return used


def _mapped_deleted_bytes(pid: str) -> int:
    """Counts all that is mapped of such files, used or not."""
    used = 0
    with open(f"/proc/{pid}/maps", errors="replace") as maps:
        for line in maps:
            if line.endswith(" (deleted)\n") and "/dev/zero" not in line:  # that is anonymous and shared
                low, high = (int(number, 16) for number in line.split(maxsplit=1)[0].split("-"))
                used += high - low
    return used


def _cpu_of(pid: str) -> float:
    try:
        with open(f"/proc/{pid}/stat") as line:
            fields = line.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS  # own and waited-for children's, user and system
