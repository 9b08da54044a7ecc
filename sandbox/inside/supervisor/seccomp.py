"""Kernel-side confinement that a process puts on itself and all it forks: prctl and a seccomp filter.

The filter comes on top of the engine's own. It denies what outlives a process or reaches into another one
(System V IPC, message queues, key rings, ptrace, process_vm_*), limits and scheduling of pid 1, memory that no limit
sees (memfd), namespaces, mounts, and every socket family but AF_UNIX.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Callable
from typing import NamedTuple

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_libc = ctypes.CDLL(None, use_errno=True)

Numbers = tuple[int | None, int | None]  # of a system call on x86_64 and aarch64; None where it is lacking

_DENIED: dict[str, Numbers] = {
    # another process's memory, descriptors, identity
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    # what outlives its maker
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # memory that belongs to no process and no size-limited file system
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # large attack surface of the kernel
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "lookup_dcookie": (212, 18),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "lsm_set_self_attr": (460, 460),
    "file_setattr": (469, 469),
    "acct": (163, 89),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "open_tree_attr": (467, 467),
    "listns": (470, 470),
}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SOCKET: Numbers = (41, 198)
CLONE: Numbers = (56, 220)
CLONE3: Numbers = (435, 435)
PRLIMIT: Numbers = (302, 261)
SETPRIORITY: Numbers = (141, 140)
IOPRIO_SET: Numbers = (251, 30)
# Their first argument is the process that they act on.
SCHEDULING: dict[str, Numbers] = {
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
}
_PRIO_USER, _IOPRIO_WHO_USER = 2, 3  # all processes of a user
_SUPERVISOR = 1  # its process number, and its group's
_X32_BIT = 0x40000000
AF_UNIX = 1
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_CLONE_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000

# Classic BPF: opcodes, and offsets into `struct seccomp_data`.
_LOAD, _AND, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000


class Check(NamedTuple):
    """What must hold of a system call's argument (its low 32 bits): masked, it is (not) one of `values`."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    wanted: bool = True


class Filter:
    """A seccomp filter in the making: what it does not name is allowed."""

    def __init__(self) -> None:
        machine = os.uname().machine
        if machine not in _AUDIT_ARCH:
            raise OSError(errno.ENOSYS, f"no system call table for {machine}; have {', '.join(_AUDIT_ARCH)}")
        self._column = list(_AUDIT_ARCH).index(machine)
        self._lines: list[tuple[int, int, int, int]] = []
        self._line(_LOAD, _ARCH)
        self._line(_JUMP_EQUAL, _AUDIT_ARCH[machine], 1, 0)
        self._line(_RETURN, _KILL_PROCESS)  # 32-bit calls on a 64-bit kernel: other numbers
        self._line(_LOAD, _NUMBER)
        if machine == "x86_64":
            self._line(_JUMP_GREATER_EQUAL, _X32_BIT, 0, 1)
            self._line(_RETURN, _ERRNO | errno.ENOSYS)

    def deny(self, numbers: Numbers, code: int = errno.EPERM) -> None:
        """Calls fail with the errno `code`."""
        self._block(numbers, [(_RETURN, 0, 0, _ERRNO | code)])

    def require(self, numbers: Numbers, *checks: Check, code: int = errno.EPERM) -> None:
        """Calls for which a check does not hold fail with the errno `code`."""
        denial = (_RETURN, 0, 0, _ERRNO | code)
        block: list[tuple[int, int, int, int]] = []
        for check in checks:
            block += [(_LOAD, 0, 0, _ARGUMENTS + 8 * check.argument), (_AND, 0, 0, check.mask)]
            if check.wanted:
                left = len(check.values)
                block += [(_JUMP_EQUAL, left - i, 0, value) for i, value in enumerate(check.values)]
                block.append(denial)
            else:
                for value in check.values:
                    block += [(_JUMP_EQUAL, 0, 1, value), denial]
        self._block(numbers, [*block, (_RETURN, 0, 0, _ALLOW)])

    def install(self) -> None:
        """Put it on this process and its descendants, for good."""
        program = b"".join(struct.pack("@HBBI", *line) for line in [*self._lines, (_RETURN, 0, 0, _ALLOW)])
        code = ctypes.create_string_buffer(program, len(program))
        # struct sock_fprog { unsigned short len; struct sock_filter *filter; }
        fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
        pointer = ctypes.create_string_buffer(fprog, len(fprog))
        _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.cast(pointer, ctypes.c_void_p))

    def _line(self, opcode: int, operand: int, if_true: int = 0, if_false: int = 0) -> None:
        self._lines.append((opcode, if_true, if_false, operand))

    def _block(self, numbers: Numbers, block: list[tuple[int, int, int, int]]) -> None:
        """`block`, which returns, for the call of these numbers only."""
        if (number := numbers[self._column]) is not None:
            self._line(_JUMP_EQUAL, number, 0, len(block))
            self._lines += block


def _prctl(option: int, *arguments: int | ctypes.c_void_p) -> None:
    padded = [*arguments, 0, 0, 0][:4]
    words = [a if isinstance(a, ctypes.c_void_p) else ctypes.c_ulong(a) for a in padded]
    if _libc.prctl(ctypes.c_int(option), *words) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")


def return_free_memory() -> None:
    """Give the kernel back what the C library keeps of freed memory (glibc; others keep little)."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def set_dumpable(dumpable: bool) -> None:
    """Whether others of this user id may read this process's memory and /proc entries."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable))


def die_with_parent() -> None:
    """The kernel kills this process when the thread that made it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def set_no_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_inheritable_capabilities() -> None:
    """Of the capabilities, keep none that a program could inherit."""
    _set_capabilities(lambda effective, permitted, inheritable: (effective, permitted, 0))


def drop_capabilities() -> None:
    """Keep none at all; without new privileges, none comes back."""
    _set_capabilities(lambda effective, permitted, inheritable: (0, 0, 0))


def _set_capabilities(change: Callable[[int, int, int], tuple[int, int, int]]) -> None:
    version = 0x20080522
    header = struct.pack("@Ii", version, 0)
    data = ctypes.create_string_buffer(24)  # two words of each set: {effective, permitted, inheritable} twice
    if _libc.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    low, high = struct.unpack("@3I3I", data.raw)[:3], struct.unpack("@3I3I", data.raw)[3:]
    if _libc.capset(header, struct.pack("@3I3I", *change(*low), *change(*high))) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def install_filter() -> None:
    """Deny the system calls above to this process and its descendants, for good."""
    rules = Filter()
    for numbers in _DENIED.values():
        rules.deny(numbers)
    rules.deny(CLONE3, errno.ENOSYS)  # its flags lie behind a pointer; libc then uses clone
    rules.require(CLONE, Check(0, (0,), mask=_CLONE_NAMESPACES))
    rules.require(SOCKET, Check(0, (AF_UNIX,)), code=errno.EAFNOSUPPORT)
    # The kernel asks only for equal user ids, and programs inherit the supervisor's limits and scheduling.
    for numbers in (PRLIMIT, *SCHEDULING.values()):
        rules.require(numbers, Check(0, (_SUPERVISOR,), wanted=False))
    for numbers, everyone in ((SETPRIORITY, _PRIO_USER), (IOPRIO_SET, _IOPRIO_WHO_USER)):
        rules.require(numbers, Check(0, (everyone,), wanted=False), Check(1, (_SUPERVISOR,), wanted=False))
    rules.install()
