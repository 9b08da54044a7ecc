"""What a judge may ask the program's process to do with an object."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

from sandbox.inside.bridge import about, valued
from sandbox.inside.bridge.peer import ARITHMETIC

# What a judge's proxy can do is what its class has of these.
SPECIAL_METHODS = (
    *("__call__", "__get__", "__iter__", "__next__", "__reversed__", "__len__", "__bool__", "__contains__"),
    *("__getitem__", "__setitem__", "__delitem__", "__enter__", "__exit__", "__hash__"),
    *("__int__", "__float__", "__complex__", "__index__", "__bytes__", "__round__", "__abs__", "__neg__"),
    *("__pos__", "__invert__", "__await__", "__aiter__", "__anext__", "__aenter__", "__aexit__"),
)

OPERATIONS: dict[str, Callable[..., Any]] = {
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "dir": dir,
    "call": lambda function, *args, **kwargs: function(*args, **kwargs),
    "iter": iter,
    "aiter": aiter,
    "next": lambda iterator: next(iterator),
    "reversed": reversed,
    "len": len,
    "bool": bool,
    "hash": hash,
    "str": str,
    "repr": repr,
    "format": format,
    "int": int,
    "float": float,
    "complex": complex,
    "bytes": bytes,
    "index": operator.index,
    "round": round,
    "abs": abs,
    "divmod": divmod,
    "contains": operator.contains,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "enter": lambda manager: type(manager).__enter__(manager),
    "exit": lambda manager, error: type(manager).__exit__(
        manager, type(error) if error else None, error, None
    ),
    **{
        name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "invert")
    },
    **{name: getattr(operator, f"__{name}__") for name in ARITHMETIC},
    **{f"i{name}": getattr(operator, f"__i{name}__") for name in ARITHMETIC},
    "isinstance": isinstance,
    "issubclass": issubclass,
    "content": valued.content,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{each.__name__: each for each in (about.signature, about.code, about.data_fields)},
}
