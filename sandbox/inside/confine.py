"""Kernel-side confinement that a process puts on itself and all it forks: prctl and a seccomp filter.

The filter comes on top of the engine's own. It denies what outlives a process or reaches into another one
(System V IPC, message queues, key rings, ptrace, process_vm_*), memory that no limit sees (memfd), namespaces,
mounts, and every socket family but AF_UNIX.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_libc = ctypes.CDLL(None, use_errno=True)

# System call -> (number on x86_64, number on aarch64); None where the architecture lacks it.
_DENIED: dict[str, tuple[int | None, int | None]] = {
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
}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SOCKET = (41, 198)
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_X32_BIT = 0x40000000
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_CLONE_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000

# Classic BPF: opcodes, and offsets into `struct seccomp_data`.
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENT_0 = 0, 4, 16
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000


def _prctl(option: int, *arguments: int | ctypes.c_void_p) -> None:
    padded = [*arguments, 0, 0, 0][:4]
    words = [a if isinstance(a, ctypes.c_void_p) else ctypes.c_ulong(a) for a in padded]
    if _libc.prctl(ctypes.c_int(option), *words) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")


def set_dumpable(dumpable: bool) -> None:
    """Whether others of this user id may read this process's memory and /proc entries."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable))


def set_no_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_inheritable_capabilities() -> None:
    """Of the capabilities, keep none that a program could inherit."""
    version, sets = 0x20080522, 3
    header = struct.pack("@Ii", version, 0)
    data = ctypes.create_string_buffer(2 * sets * 4)  # two of {effective, permitted, inheritable}
    if _libc.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    words = list(struct.unpack("@6I", data.raw))
    words[2] = words[5] = 0
    if _libc.capset(header, struct.pack("@6I", *words)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def install_filter() -> None:
    """Deny the system calls above to this process and its descendants, for good."""
    program = _assemble()
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog { unsigned short len; struct sock_filter *filter; }
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    pointer = ctypes.create_string_buffer(fprog, len(fprog))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.cast(pointer, ctypes.c_void_p))


def _assemble() -> bytes:
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        raise OSError(errno.ENOSYS, f"no system call table for {machine}; have {', '.join(_AUDIT_ARCH)}")
    column = list(_AUDIT_ARCH).index(machine)
    lines: list[tuple[int, int, int, int]] = []

    def line(opcode: int, operand: int, if_true: int = 0, if_false: int = 0) -> None:
        lines.append((opcode, if_true, if_false, operand))

    def deny(code: int) -> None:
        line(_RETURN, _ERRNO | code)

    line(_LOAD, _ARCH)
    line(_JUMP_EQUAL, _AUDIT_ARCH[machine], 1, 0)
    line(_RETURN, _KILL_PROCESS)  # 32-bit calls on a 64-bit kernel: other numbers
    line(_LOAD, _NUMBER)
    if machine == "x86_64":
        line(_JUMP_GREATER_EQUAL, _X32_BIT, 0, 1)
        deny(errno.ENOSYS)
    for numbers in _DENIED.values():
        if (number := numbers[column]) is not None:
            line(_JUMP_EQUAL, number, 0, 1)
            deny(errno.EPERM)
    line(_JUMP_EQUAL, _CLONE3[column], 0, 1)
    deny(errno.ENOSYS)  # its flags lie behind a pointer; libc then uses clone
    line(_JUMP_EQUAL, _CLONE[column], 0, 3)
    line(_LOAD, _ARGUMENT_0)
    line(_JUMP_ANY_BIT, _CLONE_NAMESPACES, 0, 5)
    deny(errno.EPERM)
    line(_JUMP_EQUAL, _SOCKET[column], 0, 3)
    line(_LOAD, _ARGUMENT_0)
    line(_JUMP_EQUAL, 1, 1, 0)  # AF_UNIX
    deny(errno.EAFNOSUPPORT)
    line(_RETURN, _ALLOW)
    return b"".join(struct.pack("@HBBI", *fields) for fields in lines)
