"""Fills the holes that freed objects left, so that what a process allocates lies close together.

A block in a hole is a write to a page from before the fork, which the kernel then copies. Without this a
short program writes to 70 pages more, and its supervisor meanwhile to 20.

What fills them is never used. Both allocators take a hole of the right size first: once blocks come from past all of
them, none is left. Where they are other ones than we know, some holes stay, and nothing else happens.
"""

from __future__ import annotations

import ctypes
import itertools
from collections import Counter
from collections.abc import Callable

# CPython's allocator has pools of blocks of one size, and these sizes.
_SIZES = range(16, 513, 16)
_POOL_BYTES = 1 << 14
_MOST_BYTES = 1 << 20  # of a size

# The C library has the rest. Its holes are smaller than that; what is larger than that has a mapping of its own.
_LARGE = 120 << 10
_MOST_OF_HEAP = 4 << 20

_kept: list[object] = []
_libc = ctypes.CDLL(None)


def fill_holes() -> None:
    for size in _SIZES:
        _fill_pools(size)
    if hasattr(_libc, "malloc_trim"):  # glibc
        _fill_heap()


def _fill_pools(size: int) -> None:
    """Until nearly all of a pool was free, which is given back."""
    make, nearly_all = _maker(size), _POOL_BYTES // size * 7 // 8
    blocks, taken = [], Counter[int]()
    for _ in range(_MOST_BYTES // size):
        block = make()
        blocks.append(block)
        pool = id(block) // _POOL_BYTES
        taken[pool] += 1
        if taken[pool] == nearly_all:
            blocks = [each for each in blocks if id(each) // _POOL_BYTES != pool]
            break
    _kept.extend(blocks)


def _maker(size: int) -> Callable[[], object]:
    """Makes objects that take so many bytes."""
    if size == 16:
        return object
    if size == 32:
        return itertools.count(1 << 20).__next__
    return lambda: bytes(size - b"".__sizeof__())


def _fill_heap() -> None:
    malloc, free = _libc.malloc, _libc.free
    malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_size_t, [ctypes.c_size_t], [ctypes.c_void_p]
    size, left = _LARGE, _MOST_OF_HEAP
    while size > _SIZES[-1] and left > 0:
        end = malloc(_LARGE)
        free(end)
        while (place := malloc(size)) < end and left > 0:
            left -= size
        free(place)
        size -= max(16, size // 1024 * 16)
