"""Lets a test unpickle what the program wrote, without running code that the program put there."""

from __future__ import annotations

import sys
from collections.abc import Container

_SAFE = {
    "builtins": "set frozenset complex bytearray range slice dict list tuple int float str bytes bool object",
    "collections": "OrderedDict defaultdict Counter deque",
    "datetime": "datetime date time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "pathlib": "Path PosixPath PurePosixPath PurePath",
    "copyreg": "_reconstructor",
    "_codecs": "encode",
    "numpy": "ndarray dtype",
    **dict.fromkeys(("numpy.core.multiarray", "numpy._core.multiarray"), "_reconstruct scalar"),
    **dict.fromkeys(("numpy.core.numeric", "numpy._core.numeric"), "_frombuffer"),
    "pandas.core.frame": "DataFrame",
    "pandas.core.series": "Series",
    "pandas.core.indexes.base": "Index _new_Index",
    "pandas.core.indexes.range": "RangeIndex",
    "pandas.core.internals.managers": "BlockManager SingleBlockManager",
    "pandas._libs.internals": "_unpickle_block",
}
_ALLOWED = frozenset((module, name) for module, names in _SAFE.items() for name in names.split())


class UnsafePickle(Exception):
    pass


def guard(known: Container[str] = ()) -> None:
    """`known`: the prompt's classes, by name."""

    def check(event: str, args: tuple[object, ...]) -> None:
        if event != "pickle.find_class" or args in _ALLOWED or (args[0] == "solution" and args[1] in known):
            return
        raise UnsafePickle("a pickle that holds more than plain values: {}.{}".format(*args))

    sys.addaudithook(check)
