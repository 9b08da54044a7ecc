"""The program as the judge sees it: proxies, all of whose answers are rebuilt from plain data.

What a proxy may be used for follows from one rule: no verdict is left to the program. Calling it, its
attributes, items and iteration yield values that the test then compares itself. A comparison would hand the program
the other operand, and take its word for the result; so the program compares only two objects of its own, and that,
and `in` by its own `__contains__`, only where the test is about classes. There an object of the program's is also
different from every plain value. Arithmetic with a plain value is a call like any other there, save that what could
stand for a comparison (`abs(x - 3.5) < 1e-6`) must give an object, of which no operator makes a number. Any other
use fails the unit that tries it.

`is` needs no rule: a proxy is identical to nothing but itself, as any plain value might be to nothing.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from sandbox.inside import about, lent, valued
from sandbox.inside.codec import CodecError, Decoder, Encoder
from sandbox.inside.known import KNOWN, MADE, KnownClasses, is_named_tuple
from sandbox.inside.peer import ARITHMETIC, BUILTIN_ERRORS, LIKE_COMPARISONS, BrokenPeer, Peer
from sandbox.inside.plain import parts_of
from sandbox.inside.record import Record
from sandbox.inside.shared_files import TooMuch, UnsafeFile

if TYPE_CHECKING:
    from sandbox.inside.environment import JudgeSide

T = TypeVar("T")

_MAX_ITEMS = 1_000_000  # of one iterator
_MAX_HANDLE = 1 << 31
_MAX_FRAMES = 20
_MAX_PRINTED = 32 << 20  # characters, in all
# What may end an iteration; out of anything else, C iterators such as map would take StopIteration for theirs.
_ENDING = frozenset({"next", "resume", "proceed"})
_VIEWS = frozenset({"items", "keys", "values"})  # methods that give as many items as there are
_CHANGING = frozenset({"call", "resume", "next", "setattr", "delattr", "setitem", "delitem", "enter", "exit"})
_RESUMING = frozenset({"send", "throw", "next"})  # methods of an iterator
# Other dunder names are asked for by libraries that try what an object can do (numpy, copy, mock).
_FORWARDED_DUNDERS = frozenset(
    {"__name__", "__qualname__", "__module__", "__dict__", "__annotations__", "__wrapped__", "__defaults__"}
)


class _Doc:
    """The text that the program gives its object or class."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return owner._coderl_candidate.ask("getattr", owner if instance is None else instance, "__doc__")


class _Fields:
    """The fields of the program's dataclass."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return owner._coderl_candidate.told("data_fields", owner)


_DOC, _FIELDS = _Doc(), _Fields()
# Attributes that are told as data (see about.py).
_TOLD = {"__signature__": "signature", "__code__": "code"}


class CandidateClass(type):
    """A class of the program's. Its objects are made and its attributes kept there."""

    _coderl_candidate: Candidate
    _coderl_class_handle: int

    def __new__(mcs, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a class of the program's cannot be subclassed here")

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._coderl_candidate.ask("call", cls, *args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name in _TOLD:
            return cls._coderl_candidate.told(_TOLD[name], cls)
        if _is_private(name):
            raise AttributeError(name)
        return cls._coderl_candidate.attribute(cls, name)

    def __setattr__(cls, name: str, value: object) -> None:
        cls._coderl_candidate.ask("setattr", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        cls._coderl_candidate.ask("delattr", cls, name)

    def __iter__(cls) -> Any:
        return cls._coderl_candidate.ask("iter", cls)

    def __len__(cls) -> int:
        return cls._coderl_candidate.ask_exact(int, "len", cls)

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
        if name in _TOLD:
            return self._coderl_candidate.told(_TOLD[name], self)
        if _is_private(name):
            raise AttributeError(name)
        return self._coderl_candidate.attribute(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._coderl_candidate.ask("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._coderl_candidate.ask("delattr", self, name)

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


def _is_private(name: str) -> bool:
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


_ARITHMETIC_METHODS = {
    f"__{how}{do}__": _arithmetic(f"i{do}" if how == "i" else do, reflected=how == "r")
    for do in (*ARITHMETIC, "divmod")
    for how in ("", "r", "i")
    if (how, do) != ("i", "divmod")
}
Proxy.__doc__ = _DOC  # type: ignore[assignment]
for _kind in (Proxy, CandidateClass):  # not those of the classes here
    _kind.__annotations__ = property(lambda self: self._coderl_candidate.attribute(self, "__annotations__"))  # type: ignore[assignment]
for _do in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Proxy, f"__{_do}__", _comparison(_do))
for _name, _method in _ARITHMETIC_METHODS.items():
    setattr(Proxy, _name, _method)


def _asking(do: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: self._coderl_candidate.ask(do, self, *args, **kwargs)


def _asking_exact(kind: type[object], do: str) -> Callable[..., Any]:
    return lambda self: self._coderl_candidate.ask_exact(kind, do, self)


def _reducing(do: str) -> Callable[..., Any]:
    return lambda self, *args: self._coderl_candidate.reduce(do, self, *args)


def _awaited(value: Any, what: str) -> Any:
    from sandbox.inside.awaiting import awaited  # asyncio takes time to import

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
        return _awaited(self._value, self._what)


_SPECIAL_METHODS: dict[str, Callable[..., Any]] = {
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
    # What it returns is ignored: it could swallow a failed assert.
    "__exit__": lambda self, *error: self._coderl_candidate.ask("exit", self, None, None, None) and None,
    **{f"__{do}__": _reducing(do) for do in ("round", "abs", "neg", "pos", "invert")},
    "__len__": lambda self: self._coderl_candidate.size(self),
    "__bool__": _asking_exact(bool, "bool"),
    "__hash__": _asking_exact(int, "hash"),
    "__int__": _asking_exact(int, "int"),
    "__float__": _asking_exact(float, "float"),
    "__complex__": _asking_exact(complex, "complex"),
    "__index__": _asking_exact(int, "index"),
    "__bytes__": _asking_exact(bytes, "bytes"),
    "__await__": lambda self: _awaited(self, "__await__"),
    "__aiter__": _asking("aiter"),
    **{name: _awaiting(name) for name in ("__anext__", "__aenter__", "__aexit__")},
}
# A coroutine's; the one that awaits it drives it by these.
_COROUTINE_METHODS: dict[str, Callable[..., Any]] = {
    "send": lambda self, value: self._coderl_candidate.driven(self).send(value),
    "throw": lambda self, *error: self._coderl_candidate.driven(self).throw(*error),
    "close": lambda self: self._coderl_candidate.driven(self).close(),
}

_MADE: dict[str, Callable[[Any], Any]] = {
    "signature": about.made_signature,
    "code": about.made_code,
    "data_fields": about.made_fields,
}


class Candidate(Peer):
    """The program's process. Every description that it sends may be a lie; none may break the judge."""

    def __init__(self, descriptor: int, record: Record) -> None:
        super().__init__(descriptor)
        self.record = record
        self.has_classes = False  # the test or its prompt names classes of the program's
        self.known: dict[str, type] = {}  # classes that the prompt defines: the program has them, too
        self._known = KnownClasses(self.known.get, self._known_name)
        self._classes: dict[int, type] = {}
        self._objects: dict[int, Proxy] = {}
        self._items: dict[int, int] = {}
        self._sizes: dict[
            int, int
        ] = {}  # by handle: what an object said, since the program last could change it
        self._promised: dict[
            int, int
        ] = {}  # by handle of an iterator, or of a method: how many items it owes
        self._told: set[int] = (
            set()
        )  # handles of objects that arithmetic made from a plain value that may be expected
        self._fresh: dict[
            int, int
        ] = {}  # by handle of a changing value: after which request it was up to date
        self.environment: JudgeSide | None = None  # where the test names any of it
        self._failed_assert: AssertionError | None = None  # of the test's, raised within the program's call
        self._printed = 0
        self._driven: dict[int, Any] = {}  # by handle of a coroutine

    def ask(self, do: str, *args: object, **kwargs: object) -> Any:
        self.record.check_intact()
        self.record.requests += 1
        self.record.last_value = None
        if do in _CHANGING:
            self._sizes.clear()
        try:
            value = self.request("call" if do == "resume" else do, args, kwargs)
        except (StopIteration, StopAsyncIteration) as end:
            if do in _ENDING:
                raise
            raise RuntimeError(f"the program raised {type(end).__name__}") from None
        except BrokenPeer as problem:
            self.record.spoil("BrokenProtocol", str(problem))
        except CodecError as problem:
            self.record.refuse(f"the test passes what cannot cross to the program: {problem}")
        except Exception as error:
            self._check_swallowed(error)
            raise
        self._check_swallowed(None)
        if self.environment is not None and (warning := self.environment.warned()) is not None:
            raise warning
        if do == "call":
            self.record.last_value = value
            if self._promised and (owed := self._promised.get(getattr(args[0], "_coderl_handle", None))):  # type: ignore[arg-type]
                self._owe(value, owed)
        return value

    # An object that told the test its length must give as many items where asserts are made of each.

    def size(self, of: Proxy) -> int:
        count = self.ask_exact(int, "len", of)
        if self._sizes.setdefault(of._coderl_handle, count) != count:
            self._contradict("the length of an object changes from question to question")
        return count

    def iterate(self, of: Proxy) -> Any:
        iterator = self.ask("iter", of)
        self._owe(iterator, self._sizes.get(of._coderl_handle, 0))
        return iterator

    def item(self, of: Proxy, key: object) -> Any:
        try:
            return self.ask("getitem", of, key)
        except IndexError:
            if type(key) is int and 0 <= key < self._sizes.get(of._coderl_handle, 0) and self.record.watching:
                self._contradict("an object has no item below its length")
            raise

    def _owe(self, items: object, count: int) -> None:
        """`items`, or those that it gives, must be so many."""
        if not count:
            return
        if isinstance(items, Proxy):
            self._promised[items._coderl_handle] = self._sizes[items._coderl_handle] = count
        elif (
            isinstance(items, (list, tuple, dict, set, frozenset))
            and len(items) < count
            and self.record.watching
        ):
            self._contradict(f"an object of length {count} gives {len(items)} items")

    def _contradict(self, message: str) -> NoReturn:
        self.record.fail_unit("Contradiction", message)

    def attribute(self, of: Any, name: str) -> Any:
        self.record.looked_up += name.startswith("_")  # pytest looks at what it collects
        found = self.ask("getattr", of, name)
        if name == "__annotations__":
            self._checked(about.check_annotations, found)
        if isinstance(of, Proxy) and isinstance(found, Proxy):
            if name in _RESUMING and hasattr(type(of), "__next__"):
                return functools.partial(self.ask, "resume", found)
            if name in _VIEWS and (size := self._sizes.get(of._coderl_handle)):
                self._promised[found._coderl_handle] = size
        return found

    def told(self, what: str, of: object) -> Any:
        """What the program's function or class says of itself (see about.py); it has no such attribute otherwise."""
        try:
            answer = self.ask(what, of)
        except Exception as problem:  # noqa: BLE001 - whatever: it cannot be told
            raise AttributeError(f"its {what} cannot be told: {problem}") from None
        return self._checked(_MADE[what], answer)

    def _checked(self, make: Callable[[Any], T], told: Any) -> T:
        try:
            return make(told)
        except CodecError as problem:
            self.record.spoil("BrokenProtocol", str(problem))

    def ask_exact(self, kind: type[T], do: str, *args: object) -> T:
        if kind is not str and args and getattr(args[0], "_coderl_handle", None) in self._told:
            self._refuse_operator(do, args[0])
        value = self.ask(do, *args)
        if type(value) is not kind:
            self.record.spoil("TypeError", f"{do}() of the program's object is no {kind.__name__}")
        return value

    def is_theirs(self, value: object) -> bool:
        return isinstance(value, Proxy)

    def compare(self, do: str, one: object, other: object) -> Any:
        if self.has_classes and self.is_theirs(one) and self.is_theirs(other):
            return self.ask_exact(bool, do, one, other)
        if self.has_classes and do in ("eq", "ne"):
            return do == "ne"
        self._refuse_operator(do, one, other)

    def operate(self, do: str, one: object, other: object) -> Any:
        """Arithmetic. What might tell that an object is near a plain value must give another object."""
        if not self.has_classes:
            self._refuse_operator(do, one, other)
        told = any(isinstance(each, Proxy) and each._coderl_handle in self._told for each in (one, other))
        mixed = not (self.is_theirs(one) and self.is_theirs(other))
        result = self.ask(do, one, other)
        if told or (mixed and do.removeprefix("i") in LIKE_COMPARISONS):
            if not isinstance(result, Proxy) or isinstance(result, (int, float, complex)):
                self._refuse_operator(do, one, other)
            self._told.add(result._coderl_handle)
        return result

    def reduce(self, do: str, one: Proxy, *args: object) -> Any:
        """What an operator makes of one object."""
        if one._coderl_handle in self._told:
            self._refuse_operator(do, one)
        return self.ask(do, one, *args)

    def freshen(self, value: Any) -> None:
        """Brings what a changing value of the program's holds up to date, if the program has run since."""
        if self._fresh.get(value._coderl_handle) != self.record.requests:
            held = self.ask("content", value)
            self._fresh[value._coderl_handle] = self.record.requests
            self._checked(lambda held: valued.refill(value, held), held)

    def contains(self, container: object, item: object) -> bool:
        if (
            not self.has_classes
        ):  # its own __contains__ would be told the item; so its items are compared here
            return any(each is item or each == item for each in iter(container))  # type: ignore[call-overload]
        return bool(self.ask_exact(bool, "contains", container, item))

    def next_item(self, iterator: Proxy) -> Any:
        count = self._items[iterator._coderl_handle] = self._items.get(iterator._coderl_handle, 0) + 1
        if count > _MAX_ITEMS:
            self.record.spoil("OutputLimit", f"an iterator gave more than {_MAX_ITEMS} items")
        try:
            return self.ask("next", iterator)
        except StopIteration:
            if self.record.watching and count <= (owed := self._promised.get(iterator._coderl_handle, 0)):
                self._contradict(f"an object of length {owed} gives {count - 1} items")
            raise

    def _refuse_operator(self, do: str, *operands: object) -> NoReturn:
        names = " and ".join(type(each).__name__ for each in operands)
        self.record.fail_unit("OpaqueValue", f"operator {do} on objects that are not plain: {names}")

    def driven(self, coroutine: Proxy) -> Any:
        """The awaiting of that coroutine, which goes on each time that it is driven."""
        number = coroutine._coderl_handle
        if number not in self._driven:
            self._driven[number] = _awaited(coroutine, "__await__")
        return self._driven[number]

    def _check_swallowed(self, error: Exception | None) -> None:
        """A failed assert in a function that the test passed to the program is not the program's to catch."""
        failed, self._failed_assert = self._failed_assert, None
        if failed is not None and failed is not error:
            self.record.spoil("AssertionError", str(failed), "wrong")

    def _send(self, message: dict[str, Any]) -> None:
        """Also says what the test changed in the environment that it shares with the program."""
        if self.environment is not None:
            try:
                changes = self.environment.collect()
                if changes is not None:
                    message["shared"] = self.packed(changes)
            except (CodecError, TooMuch) as problem:
                self.record.refuse(f"the test shares what cannot cross to the program: {problem}")
        super()._send(message)

    def _receive(self) -> dict[str, Any]:
        """Also prints here what the program printed there, and changes what it changed, for tests that look."""
        message = super()._receive()
        for name in ("stdout", "stderr"):
            text = message.get(name)
            if type(text) is str:
                self._printed += len(text)
                if self._printed > _MAX_PRINTED:
                    self.record.spoil("OutputLimit", f"it printed more than {_MAX_PRINTED} characters")
                getattr(sys, name).write(text.encode(errors="replace").decode())
        if "shared" in message and self.environment is not None:
            try:
                self.environment.apply(self.unpacked(message["shared"]))
            except CodecError as problem:
                raise BrokenPeer(f"malformed environment: {problem}") from None
            except UnsafeFile as problem:
                self.record.spoil("UnsafeFile", str(problem))
        return message

    def _known_name(self, cls: type) -> str | None:
        return cls.__name__ if self.known.get(cls.__name__) is cls else None

    def value(self, decoder: Decoder, description: Any, depth: int) -> object:
        if type(description) is dict and description.keys() & KNOWN:
            return self._known.value(decoder, description, depth)
        if type(description) is dict and MADE in description:
            number, node = parts_of(description[MADE], 2)
            made, items = self.handles.get(number), decoder.items(node, depth)
            if not isinstance(made, type) or not is_named_tuple(made) or len(items) != len(made._fields):  # type: ignore[attr-defined]
                raise CodecError("no such named tuple")
            return tuple.__new__(made, items)
        if type(description) is dict and "is" in description:
            return self._fixed_value(decoder, description, depth)
        return super().value(decoder, description, depth)

    def node(self, encoder: Encoder, value: Any, depth: int) -> object | None:
        if isinstance(value, Proxy):  # before it could be taken for a value of its builtin base
            return {"foreign": {"mine": value._coderl_handle}}
        node = self._known.node(encoder, value, depth)
        if node is None and is_named_tuple(cls := type(value)):
            items = encoder.nodes(tuple.__iter__(value), depth)
            return {"foreign": {MADE: [self.handles.number(cls), items, cls.__name__, list(cls._fields)]}}
        return node or super().node(encoder, value, depth)

    def _fixed_value(self, decoder: Decoder, description: dict[str, Any], depth: int) -> object:
        number, cls = _handle(description.get("h")), self._class(description.get("of"))
        base = getattr(cls, "_coderl_base", None)
        if base not in valued.FIXED.values():
            raise CodecError("an object of no class that extends a fixed type")
        node = description["is"]  # items are no list of the program's, which would be numbered
        held = decoder.items(node, depth) if base in (tuple, frozenset) else decoder.value(node, depth)
        if number not in self._objects:
            value = valued.make(cls, held)
            object.__setattr__(value, "_coderl_handle", number)
            self._objects[number] = value
        return self._objects[number]

    # The judge's objects, on their way to the program: functions to call, and nothing else.

    def describe(self, value: Any) -> object | None:
        if isinstance(value, CandidateClass):
            return {"mine": value._coderl_class_handle}
        if isinstance(value, Proxy):
            return {"mine": value._coderl_handle}
        if isinstance(value, BaseException):
            return self.describe_error(value)
        if type(value) is types.FunctionType:
            return {"h": self.handles.number(value), "binds": True, "texts": about.of_function(value)}
        if (can := lent.can(value)) is not None:
            return {"h": self.handles.number(value), "can": can}
        if hasattr(type(value), "__next__"):
            return {"h": self.handles.number(value), "iterator": True}
        if callable(value):
            return {"h": self.handles.number(value), "texts": about.of_function(value)}
        self.record.refuse(f"the test passes an object of {type(value).__qualname__}, which cannot cross")

    def describe_error(self, error: BaseException) -> object:
        handle = vars(error).get("_coderl_handle")
        if handle is not None:
            return {"mine": handle}
        if not isinstance(error, (Exception, KeyboardInterrupt, SystemExit, GeneratorExit)):
            if self.record.unsupported is None and self.record.failure is None:
                self.record.unsupported = f"the test raised {type(error).__name__} into the program"
            raise error
        args = () if isinstance(error, AssertionError) else error.args  # its text may hold what is expected
        return {
            "error": [f"{base.__module__}:{base.__qualname__}" for base in type(error).__mro__[:-1]],
            "args": self.encoder().node(args),
            "has": self.encoder().node(_own_attributes(error)),
            "h": self.handles.number(error),
        }

    def perform(self, do: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        if (
            do not in ("call", "use", *_TOLD.values())
            or len(args) < 1 + (do == "use")
            or args[0] not in self.handles
        ):
            self.record.spoil("BrokenProtocol", "the program asked for what it was not given")
        function, *rest = args
        try:
            if do == "use":
                operation, *rest = rest
                return lent.use(function, operation, tuple(rest), kwargs, self._is_plain)
            if do != "call":
                return getattr(about, do)(function)
            if lent.can(function) is None and hasattr(type(function), "__next__"):
                return next(function)
            return function(*rest, **kwargs)
        except AssertionError as failed:
            self._failed_assert = failed
            raise
        except lent.NotLent as problem:
            self.record.spoil("BrokenProtocol", f"the program asked for {problem}")

    def _is_plain(self, value: object) -> bool:
        def own(found: object) -> object:
            if found not in self.handles:
                raise CodecError("an object of the program's")
            return {"foreign": 0}

        try:
            Encoder(foreign=lambda encoder, found, depth: own(found), wide=True).node(value)
        except CodecError:
            return False
        return True

    # The program's objects, on their way to the judge.

    def resolve(self, description: Any) -> object:
        if type(description) is str:
            return self._class(description)
        if type(description) is not dict:
            raise CodecError("not a description")
        if "class" in description:
            return self._class(description)
        if "mine" in description:
            return self.handles.get(description["mine"])
        if "error" in description:
            return self._exception(description)
        number, cls = _handle(description.get("h")), self._class(description.get("of"))
        if not issubclass(cls, Proxy):
            raise CodecError("an object of no class of the program's")
        if number not in self._objects:
            base = getattr(cls, "_coderl_base", object)
            if base in valued.FIXED.values():
                raise CodecError("a fixed value without its value")
            proxy = base.__new__(cls)
            object.__setattr__(proxy, "_coderl_handle", number)
            self._objects[number] = proxy
        return self._objects[number]

    def error(self, description: Any) -> BaseException:
        """What the program raised; some of it is the program's failure whatever the test expects."""
        if type(description) is not dict:
            raise CodecError("not a description")
        if "mine" in description:
            error = self.handles.get(description["mine"])
            if not isinstance(error, BaseException):
                raise CodecError("not an exception")
            return error
        error = self._exception(description)
        if not isinstance(error, Exception) or isinstance(error, _never_excused()):
            text, frames = vars(error)["_coderl_text"], vars(error)["_coderl_frames"]
            self.record.spoil(type(error).__name__, text, "call", frames)
        return error

    def _exception(self, description: dict[str, Any]) -> BaseException:
        cls = self._class(description.get("error"))
        args = self.decoder().value(description.get("args"))
        text = description.get("text")
        if not issubclass(cls, BaseException) or type(args) is not tuple or type(text) is not str:
            raise CodecError("not an exception")
        error: BaseException
        try:
            error = cls(*args) if BUILTIN_ERRORS.get(cls.__name__) is cls else cls.__new__(cls, *args)
        except Exception:  # noqa: BLE001 - arguments that this class does not take; their text is enough
            error = cls.__new__(cls)
            error.args = (text,)
        vars(error).update(
            _coderl_handle=_handle(description.get("h")),
            _coderl_text=text,
            _coderl_frames=frames(description.get("frames")),
        )
        return error

    def _class(self, description: Any) -> type:
        if type(description) is str:
            return _known_exception(description)
        if type(description) is not dict:
            raise CodecError("not a class")
        if "known" in description:
            return self._known.named(description["known"])
        number = _handle(description.get("class"))
        if number not in self._classes:
            self._classes[number] = self._new_class(number, description)
        return self._classes[number]

    def _value_namespace(self, base: object, own: object) -> dict[str, Any]:
        if type(base) is not str or base not in valued.BASES:
            raise CodecError("no type that can be extended")
        if type(own) is not list or not all(type(name) is str for name in own):
            raise CodecError("not the names of a class")
        return valued.namespace(valued.BASES[base], own, self, _SPECIAL_METHODS, _ARITHMETIC_METHODS)

    def _new_class(self, number: int, description: dict[str, Any]) -> type:
        name, bases, has = (description.get(key) for key in ("name", "bases", "has"))
        if type(name) is not str or type(bases) is not list or type(has) is not list:
            raise CodecError("not a class")
        parents = tuple(dict.fromkeys(self._class(base) for base in bases))
        namespace: dict[str, Any] = {
            "__module__": "solution",
            "__doc__": _DOC,
            "_coderl_candidate": self,
            "_coderl_class_handle": number,
        }
        base = description.get("base")
        if any(issubclass(parent, BaseException) for parent in parents):
            namespace["__getattr__"] = _exception_attribute
            namespace["__str__"] = lambda error: vars(error)["_coderl_text"]
        else:
            parents = parents or (Proxy,)
            namespace |= {key: _SPECIAL_METHODS[key] for key in has if key in _SPECIAL_METHODS}
            if name == "coroutine":
                namespace |= _COROUTINE_METHODS
            if "__hash__" not in namespace:
                namespace["__hash__"] = None
            if (kind := about.LIKE.get(str(description.get("like")))) is not None:
                namespace["__class__"] = property(lambda self: kind)
            if description.get("dataclass"):
                namespace["__dataclass_fields__"] = _FIELDS
            if base is not None:
                namespace |= self._value_namespace(base, description.get("own"))
                if not any(issubclass(parent, valued.BASES[base]) for parent in parents):
                    parents += (valued.BASES[base],)
        return type.__new__(CandidateClass, name, parents, namespace)


def _own_attributes(error: BaseException) -> dict[str, object]:
    """What a class of the standard library's gave its error beside its arguments."""
    if type(error).__module__.partition(".")[0] not in sys.stdlib_module_names:
        return {}
    kinds = (type(None), bool, int, float, str, bytes)
    return {name: value for name, value in vars(error).items() if type(value) in kinds and name[:1] != "_"}


def _exception_attribute(error: Any, name: str) -> Any:
    if _is_private(name):
        raise AttributeError(name)
    return type(error)._coderl_candidate.ask("getattr", error, name)


def _known_exception(names: str) -> type:
    """The first of `module:Name module:Name ...` that is an exception class of Python's own, loaded here.

    Not a private one: by such, libraries talk to themselves (unittest takes `_ShouldStop` for no failure).
    """
    for full_name in names.split():
        module, _, name = full_name.partition(":")
        if name.startswith("_"):
            continue
        if module.partition(".")[0] in sys.stdlib_module_names and module in sys.modules:
            cls = vars(sys.modules[module]).get(name)
            if isinstance(cls, type) and issubclass(cls, BaseException):
                return cls
    raise CodecError("no known exception class")


def _never_excused() -> tuple[type, ...]:
    """What no test may catch; a skip exists only where the test has loaded unittest."""
    skip = getattr(sys.modules.get("unittest.case"), "SkipTest", AssertionError)
    return AssertionError, skip


def _handle(number: object) -> int:
    if type(number) is not int or not 0 <= number < _MAX_HANDLE:
        raise CodecError("not a handle")
    return number


def frames(value: object) -> list[list[Any]]:
    """The program's frames [line, function] from [line, function, source]; the host knows the source."""
    try:
        found = [[frame[0], frame[1]] for frame in value]  # type: ignore[attr-defined]
    except (TypeError, IndexError, KeyError):
        raise CodecError("malformed frames") from None
    if not all(type(line) is int and type(name) is str for line, name in found):
        raise CodecError("malformed frames")
    return [[line, name[:200]] for line, name in found[-_MAX_FRAMES:]]
