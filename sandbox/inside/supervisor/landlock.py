"""Landlock: which files this process and its descendants may reach, without any privilege.

Landlock governs opening, making, removing and renaming. It does not govern `stat`, `chmod`, `utime`, extended
attributes or `inotify`: where those matter a seccomp filter denies them (see `confined.py`).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

LEAST_ABI = 3  # Linux 6.2: before, whatever process may read a file could truncate it
SCOPES_ABI = 6  # Linux 6.12: signals and abstract sockets of other domains are out of reach

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on all architectures
_VERSION, _PATH_BENEATH = 1, 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(1, 6))
_MAKE_DIR, _MAKE_REG, _MAKE_FIFO, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 10, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_ALL_FILES = {3: (1 << 15) - 1, 5: (1 << 16) - 1}  # by the least ABI that knows them
_ALL_NETWORK = {4: 0b11}  # binding and connecting TCP sockets
_ALL_SCOPES = {SCOPES_ABI: 0b11}

_READ = _READ_FILE | _READ_DIR
_OF_FILES = _READ_FILE | _WRITE_FILE | _TRUNCATE  # what a rule about a single file may grant
_WRITE = (
    _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _REFER
    | _MAKE_DIR | _MAKE_REG | _MAKE_FIFO | _MAKE_SYM
)  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The kernel's version of Landlock; 0 where it is missing or switched off."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def make_ruleset(*, listable: Iterable[str], readable: Iterable[str], writable: Iterable[str]) -> int:
    """A descriptor for `restrict_self`: nothing else on the file system can be opened.

    Folders stand for all beneath them; of `listable` ones only the names of files can be read. No TCP socket,
    and where the kernel knows them (ABI 6) no signal and no abstract socket, crosses the border.
    """
    version = abi()
    handled = (_highest(table, version) for table in (_ALL_FILES, _ALL_NETWORK, _ALL_SCOPES))
    attributes = struct.pack("@3Q", *handled)
    size = 24 if version >= SCOPES_ABI else 16 if version >= 4 else 8  # as much as this kernel knows
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    for rights, paths in ((_READ_DIR, listable), (_READ, readable), (_WRITE, writable)):
        for path in paths:
            _allow(ruleset, path, rights)
    return ruleset


def restrict_self(ruleset: int) -> None:
    """Needs no_new_privs. Each call makes a domain of its own: what one holds, no other may touch."""
    _call(_RESTRICT_SELF, ruleset, 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        if rights:
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _highest(table: dict[int, int], version: int) -> int:
    known = [needed for needed in table if needed <= version]
    return table[max(known)] if known else 0


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
