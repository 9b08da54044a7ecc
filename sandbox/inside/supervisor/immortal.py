"""Objects whose references are no longer counted (PEP 683).

Counting a reference is a write, and the kernel copies each page that a forked process writes to. A short program
writes to some 330 pages and its supervisor meanwhile to 130; with this, to 250 and 85.

Before CPython 3.12 there are no such objects, and nothing is done.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import types

_CODE = "co_consts co_names co_filename co_name co_qualname co_linetable co_exceptiontable".split()


def make_all() -> None:
    """Makes all objects that exist now immortal: call it where none of them has to be freed."""
    if sys.version_info < (3, 12):
        return
    count = ctypes.c_uint32.from_address
    forever = count(id(None)).value
    found = gc.get_objects()
    while found:
        each = found.pop()
        number = count(id(each))
        if number.value == forever:  # not written again: it may lie in a page that nobody wrote to
            continue
        number.value = forever
        found += gc.get_referents(each)
        if isinstance(each, types.CodeType):  # which the collector does not look into
            found += [getattr(each, name) for name in _CODE]
