"""Objects of program classes that extend a builtin type: the judge has their value, and asks for the rest.

In the judge, too, such an object is an instance of that type, so comparisons with plain values, its length and its
items are computed in the judge. What its class adds is asked of the program: attributes and methods by name and,
where the test is about classes, also what it overrides; but never a comparison with a plain value, nor arithmetic
that could stand for one (see `Candidate.operate`).

An immutable one crosses with its value. A mutable one is asked for its content when that is used after the program
has run again.
"""

from __future__ import annotations

import functools
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sandbox.inside.bridge.peer import LIKE_COMPARISONS
from sandbox.inside.values.plain import CodecError

if TYPE_CHECKING:
    from sandbox.inside.values.encoder import Encoder

_Methods = dict[str, Callable[..., Any]]

FIXED: dict[str, type] = {base.__name__: base for base in (int, float, complex, str, bytes, tuple, frozenset)}
CHANGING: dict[str, type] = {
    base.__name__: base for base in (Counter, OrderedDict, defaultdict, deque, list, dict, set, bytearray)
}
BASES = FIXED | CHANGING
# Of a base's special methods, those that are about classes and copies rather than about the value.
_NOT_OF_THE_VALUE = frozenset(
    f"__{name}__"
    for name in (
        *(
            "new",
            "init",
            "class",
            "getattribute",
            "setattr",
            "delattr",
            "init_subclass",
            "subclasshook",
            "dir",
        ),
        *(
            "doc",
            "reduce",
            "reduce_ex",
            "class_getitem",
            "getnewargs",
            "sizeof",
            "getstate",
            "copy",
            "module",
        ),
    )
)
_CHANGES = frozenset(
    f"__{name}__" for name in ("setitem", "delitem", "iadd", "imul", "ior", "iand", "isub", "ixor")
)
_COMPARISONS = frozenset(f"__{name}__" for name in ("eq", "ne", "lt", "le", "gt", "ge"))
_LIKE_COMPARISONS = frozenset(f"__{how}{do}__" for how in ("", "r", "i") for do in LIKE_COMPARISONS)
_TEXTS = frozenset({"__repr__", "__str__", "__format__"})


def base_of(cls: type) -> type | None:
    """The builtin type that `cls` extends; None where it extends none, or is one."""
    if any(cls is base for base in BASES.values()):
        return None
    return next((base for each in cls.__mro__ for base in BASES.values() if each is base), None)


def own_names(cls: type, base: type) -> list[str]:
    """What `cls` and what it inherits, before `base`, define."""
    before = cls.__mro__[: cls.__mro__.index(base)]
    return sorted({name for each in before for name in vars(each)})


def held(encoder: Encoder, value: Any, base: Any, depth: int) -> object:
    """The node of what a fixed value is (see `make`)."""
    if base in (tuple, frozenset):
        return encoder.nodes(base.__iter__(value), depth)
    return encoder.stripped(value, depth)


def content(value: Any) -> object:
    """What a changing object holds, as a plain value, past its class's own methods."""
    base = base_of(type(value))
    if base is None:
        raise TypeError("not an object of a class that extends a builtin type")
    if issubclass(base, OrderedDict):
        return [(key, dict.__getitem__(value, key)) for key in OrderedDict.__iter__(value)]
    return list(dict.items(value)) if issubclass(base, dict) else list(base.__iter__(value))  # type: ignore[attr-defined]


def refill(value: Any, held: object) -> None:
    """Makes `value` hold what the program says. Raises `CodecError` where that is nothing of the kind."""
    base = value._coderl_base
    try:
        if issubclass(base, dict):
            pairs: Any = held
            kind = OrderedDict if issubclass(base, OrderedDict) else dict
            kind.clear(value)
            for key, item in pairs:  # past the class's own `__setitem__`, which OrderedDict's `update` calls
                kind.__setitem__(value, key, item)
        elif issubclass(base, set):
            items: Any = held
            set.clear(value)
            set.update(value, items)
        elif base is deque:
            deque.clear(value)
            deque.extend(value, held)  # type: ignore[arg-type]
        else:
            base.__setitem__(value, slice(None), held)
    except (TypeError, ValueError) as problem:
        raise CodecError(f"malformed content: {problem}") from None


def make(cls: Any, held: object) -> Any:
    """A fixed value of that class."""
    base = cls._coderl_base
    if type(held) is not (list if base in (tuple, frozenset) else base):
        raise CodecError(f"no {base.__name__}")
    return base.__new__(cls, held)


def namespace(
    base: type, own: Iterable[str], has_classes: bool, special: _Methods, arithmetic: _Methods
) -> dict[str, Any]:
    """What a class has here that extends `base` there and defines the names `own`.

    The methods `special` and `arithmetic` ask the program.
    """
    overridden = {name for name in own if has_classes or name in _TEXTS}
    changing = base.__name__ in CHANGING
    found: dict[str, Any] = {"_coderl_base": base}
    for name in dir(base):
        if name.startswith("__"):
            if name not in _NOT_OF_THE_VALUE and (method := getattr(base, name)) is not None:
                found[name] = _fresh(method) if changing else method
        elif changing or name in overridden:
            found[name] = _asked(name)
    found.update({name: special[name] for name in overridden & special.keys()})
    if "__missing__" in overridden:
        found["__getitem__"] = special["__getitem__"]
    if changing:
        found.update({name: special[name] for name in _CHANGES & special.keys() & found.keys()})
    for name in _TEXTS & overridden & found.keys():
        del found[name]  # a proxy asks for its text
    for name in _COMPARISONS & overridden:
        found[name] = _compared(name, found[name])
    for name in overridden & found.keys() & arithmetic.keys():
        found[name] = _computed(name, arithmetic[name], found[name])
    if changing and "__radd__" not in overridden and (add := getattr(base, "__add__", None)) is not None:
        found["__radd__"] = _fresh(
            lambda self, other: add(other, self) if isinstance(other, base) else NotImplemented
        )
    found |= dict.fromkeys(
        arithmetic.keys() - found.keys() - overridden, _not_implemented
    )  # a proxy's would ask
    found["__hash__"] = base.__hash__
    return found


def _not_implemented(self: Any, *other: object) -> Any:
    return NotImplemented


def _asked(name: str) -> property:
    return property(lambda self: self._coderl_candidate.attribute(self, name))


def own_method(value: Any, name: str) -> Callable[..., Any] | None:
    """The builtin type's method of that name, if `value` is of a class that extends one which has it."""
    base = getattr(type(value), "_coderl_base", object)
    method = getattr(base, name, None)
    return None if method is None else functools.partial(_fresh(method), value)


def _fresh(method: Callable[..., Any]) -> Callable[..., Any]:
    def with_what_it_holds(self: Any, *args: Any, **kwargs: Any) -> Any:
        for each in (self, *args):
            if getattr(type(each), "_coderl_base", None) in CHANGING.values():
                self._coderl_candidate.freshen(each)
        return method(self, *args, **kwargs)

    return with_what_it_holds


def _compared(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Of two objects of the program's the program says how they compare, else the values do."""

    def compare(self: Any, other: object) -> Any:
        if self._coderl_candidate.is_theirs(other):
            return self._coderl_candidate.compare(name.strip("_"), self, other)
        return method(self, other)

    return compare


def _computed(name: str, asked: Callable[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """Between two of its objects an operator is the program's; with a plain value only where the test is about

    the object's class, and it could not stand for a comparison.
    """

    def compute(self: Any, other: object) -> Any:
        candidate = self._coderl_candidate
        theirs = candidate.is_theirs(other) or (candidate.is_named(self) and name not in _LIKE_COMPARISONS)
        return asked(self, other) if theirs else method(self, other)

    return compute
