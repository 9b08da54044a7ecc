"""The program as the judge sees it: proxies, all of whose answers are rebuilt from plain data.

What a proxy may be used for follows from one rule: the program decides no verdict. Calls, attributes, items and
iteration yield values that the test then compares itself. A comparison would give the program the other operand
and believe its result; so the program compares only two objects of its own, and that,
and `in` by its own `__contains__`, only where the test is about classes. There an object of the program's is also
different from every plain value. Arithmetic with a plain value is a call like any other there, except that what could
stand for a comparison (`abs(x - 3.5) < 1e-6`) must give an object, of which no operator makes a number. Any other
use fails the unit that tries it.

`is` needs no rule: a proxy is identical to nothing but itself, as any plain value might be to nothing.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sandbox.inside.bridge.peer import ARITHMETIC

if TYPE_CHECKING:
    from sandbox.inside.judge.candidate import Candidate

T = TypeVar("T")

TEST_FILES = ("<test>", "test_file.py")  # of scripts and unittest, of pytest

# Other dunder names are asked for by libraries that try what an object can do (numpy, copy, mock).
_FORWARDED_DUNDERS = frozenset(
    {
        "__name__",
        "__qualname__",
        "__module__",
        "__dict__",
        "__annotations__",
        "__wrapped__",
        "__defaults__",
        "__members__",
    }
)


class _Doc:
    """The text that the program gives its object or class."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return owner._coderl_candidate.ask("getattr", owner if instance is None else instance, "__doc__")


class _Fields:
    """The fields of the program's dataclass."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return owner._coderl_candidate.told("data_fields", owner)


DOC, FIELDS = _Doc(), _Fields()
# Attributes that are told as data (see about.py).
TOLD = {"__signature__": "signature", "__code__": "code"}


class CandidateClass(type):
    """A class of the program's. Its objects are made and its attributes kept there."""

    _coderl_candidate: Candidate
    _coderl_class_handle: int
    _coderl_decides: bool  # by itself what belongs to it

    def __new__(mcs, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a class of the program's cannot be subclassed here")

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._coderl_candidate.ask("call", cls, *args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name in TOLD:
            return cls._coderl_candidate.told(TOLD[name], cls)
        if is_private(name):
            raise AttributeError(name)
        return cls._coderl_candidate.attribute(cls, name)

    def __setattr__(cls, name: str, value: object) -> None:
        cls._coderl_candidate.ask("setattr", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        cls._coderl_candidate.ask("delattr", cls, name)

    def __iter__(cls) -> Any:
        return cls._coderl_candidate.ask("iter", cls)

    def __reversed__(cls) -> Any:
        return cls._coderl_candidate.ask("reversed", cls)

    def __len__(cls) -> int:
        return cls._coderl_candidate.ask_exact(int, "len", cls)

    def __instancecheck__(cls, value: Any) -> bool:
        return super().__instancecheck__(value) or cls._coderl_candidate.belongs("isinstance", value, cls)

    def __subclasscheck__(cls, value: type) -> bool:
        return super().__subclasscheck__(value) or cls._coderl_candidate.belongs("issubclass", value, cls)

    def __bool__(cls) -> bool:
        return True

    def __getitem__(cls, key: object) -> Any:
        return cls._coderl_candidate.ask("getitem", cls, key)

    def __contains__(cls, item: object) -> bool:
        return cls._coderl_candidate.contains(cls, item)


class Proxy:
    """An object of the program's. What its class can do there, its class here can."""

    _coderl_candidate: Candidate
    _coderl_handle: int
    __dict__ = property(lambda self: self._coderl_candidate.attribute(self, "__dict__"))

    def __getattr__(self, name: str) -> Any:
        if name in TOLD:
            return self._coderl_candidate.told(TOLD[name], self)
        if is_private(name):
            raise AttributeError(name)
        return self._coderl_candidate.attribute(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._coderl_candidate.ask("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._coderl_candidate.ask("delattr", self, name)

    def __bool__(self) -> bool:
        return self._coderl_candidate.truth(self)

    def __dir__(self) -> Any:
        return self._coderl_candidate.ask("dir", self)

    def __repr__(self) -> str:
        return self._coderl_candidate.ask_exact(str, "repr", self)

    def __str__(self) -> str:
        return self._coderl_candidate.ask_exact(str, "str", self)

    def __format__(self, specification: str) -> str:
        return self._coderl_candidate.ask_exact(str, "format", self, specification)

    def __copy__(self) -> Any:
        return self._coderl_candidate.ask("copy", self)

    def __deepcopy__(self, memo: object) -> Any:
        return self._coderl_candidate.ask("deepcopy", self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("an object of the program's cannot be pickled here")


def is_opaque(value: object) -> bool:
    """Whether this is an object or class of the program's, which says nothing until it is used."""
    return isinstance(value, (Proxy, CandidateClass))


def is_private(name: str) -> bool:
    dunder = name.startswith("__") and name.endswith("__") and name not in _FORWARDED_DUNDERS
    return dunder or name.startswith("_coderl_")


def _comparison(do: str) -> Callable[..., Any]:
    def compare(self: Any, other: object) -> Any:
        if other is None and do in ("eq", "ne"):  # `x == None`: as `x is None`
            return do == "ne"
        return self._coderl_candidate.compare(do, self, other)

    return compare


def _arithmetic(do: str, reflected: bool = False) -> Callable[..., Any]:
    def operate(self: Any, other: object) -> Any:
        operands = (other, self) if reflected else (self, other)
        return self._coderl_candidate.operate(do, *operands)

    return operate


ARITHMETIC_METHODS = {
    f"__{how}{do}__": _arithmetic(f"i{do}" if how == "i" else do, reflected=how == "r")
    for do in (*ARITHMETIC, "divmod")
    for how in ("", "r", "i")
    if (how, do) != ("i", "divmod")
}
Proxy.__doc__ = DOC  # type: ignore[assignment]
for _kind in (Proxy, CandidateClass):  # not those of the classes here
    _kind.__annotations__ = property(lambda self: self._coderl_candidate.attribute(self, "__annotations__"))  # type: ignore[assignment]
for _do in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Proxy, f"__{_do}__", _comparison(_do))
for _name, _method in ARITHMETIC_METHODS.items():
    setattr(Proxy, _name, _method)


def _asking(do: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: self._coderl_candidate.ask(do, self, *args, **kwargs)


def _asking_exact(kind: type[object], do: str) -> Callable[..., Any]:
    return lambda self: self._coderl_candidate.ask_exact(kind, do, self)


def _reducing(do: str) -> Callable[..., Any]:
    return lambda self, *args: self._coderl_candidate.reduce(do, self, *args)


def awaited_there(value: Any, what: str) -> Any:
    from sandbox.inside.bridge.awaiting import awaited  # asyncio takes time to import

    return awaited(value._coderl_candidate.ask, what, value)


def _awaiting(what: str) -> Callable[..., Any]:
    """What it returns is ignored of `__aexit__`, as of `__exit__`."""

    async def wait(self: Any, *error: object) -> Any:
        result = await _Awaitable(self, what)
        return None if what == "__aexit__" else result

    return wait


class _Awaitable:
    def __init__(self, value: Any, what: str) -> None:
        self._value = value
        self._what = what

    def __await__(self) -> Any:
        return awaited_there(self._value, self._what)


def _leave(self: Any, error: BaseException | None) -> bool:
    """Leaves a context of the program's. It may swallow no more than what a `raise` of the test's file began:

    anything else could be a failed assert, or keep one from being made.
    """
    told = error if isinstance(error, Exception) and not isinstance(error, AssertionError) else None
    left = self._coderl_candidate.ask("exit", self, told)
    return told is not None and left is True and _is_raised_by_a_test(told)


def _is_raised_by_a_test(error: Exception) -> bool:
    from opcode import opmap  # only where a context of the program's ends in an exception

    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or "_coderl_handle" in vars(error):
        return False
    code = traceback.tb_frame.f_code
    raises = code.co_code[traceback.tb_lasti] == opmap["RAISE_VARARGS"]
    return raises and code.co_filename.rpartition("/")[2] in TEST_FILES


SPECIAL_METHODS: dict[str, Callable[..., Any]] = {
    "__call__": _asking("call"),
    "__get__": lambda self, instance, owner=None: (
        self if instance is None else types.MethodType(self, instance)
    ),
    "__iter__": lambda self: self._coderl_candidate.iterate(self),
    "__next__": lambda self: self._coderl_candidate.next_item(self),
    "__reversed__": _asking("reversed"),
    "__contains__": lambda self, item: self._coderl_candidate.contains(self, item),
    "__getitem__": lambda self, key: self._coderl_candidate.item(self, key),
    "__setitem__": _asking("setitem"),
    "__delitem__": _asking("delitem"),
    "__enter__": _asking("enter"),
    "__exit__": lambda self, kind, error, traceback: _leave(self, error),
    **{f"__{do}__": _reducing(do) for do in ("round", "abs", "neg", "pos", "invert")},
    "__len__": lambda self: self._coderl_candidate.size(self),
    "__bool__": _asking_exact(bool, "bool"),
    "__hash__": _asking_exact(int, "hash"),
    "__int__": _asking_exact(int, "int"),
    "__float__": _asking_exact(float, "float"),
    "__complex__": _asking_exact(complex, "complex"),
    "__index__": _asking_exact(int, "index"),
    "__bytes__": _asking_exact(bytes, "bytes"),
    "__await__": lambda self: awaited_there(self, "__await__"),
    "__aiter__": _asking("aiter"),
    **{name: _awaiting(name) for name in ("__anext__", "__aenter__", "__aexit__")},
}
# A coroutine's; the one that awaits it drives it by these.
COROUTINE_METHODS: dict[str, Callable[..., Any]] = {
    "send": lambda self, value: self._coderl_candidate.driven(self).send(value),
    "throw": lambda self, *error: self._coderl_candidate.driven(self).throw(*error),
    "close": lambda self: self._coderl_candidate.driven(self).close(),
}
