"""The program's process as the judge uses it: requests, and what is sent of the judge's own objects."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from sandbox.inside.bridge import about, valued
from sandbox.inside.bridge.known import KNOWN, MADE, is_named_tuple
from sandbox.inside.bridge.peer import ARITHMETIC, LIKE_COMPARISONS, LIKE_QUESTIONS, BrokenPeer
from sandbox.inside.bridge.shared_files import TooMuch, UnsafeFile
from sandbox.inside.judge.descriptions import handle_of, never_excused
from sandbox.inside.judge.lengths import Lengths
from sandbox.inside.judge.passed import Passed
from sandbox.inside.judge.proxies import CandidateClass, Proxy, awaited_there, is_opaque
from sandbox.inside.judge.seen import Record
from sandbox.inside.values.codec import CodecError, Decoder, Encoder
from sandbox.inside.values.plain import parts_of

if TYPE_CHECKING:
    from sandbox.inside.bridge.environment import JudgeSide

T = TypeVar("T")

_MAX_ITEMS = 1_000_000  # of one iterator
_MAX_PRINTED = 32 << 20  # characters, in all
# What may end an iteration; out of anything else, C iterators such as map would take StopIteration for theirs.
_ENDING = frozenset({"next", "resume", "proceed"})
_VIEWS = frozenset({"items", "keys", "values"})  # methods that give as many items as there are
_CHANGING = frozenset({"call", "resume", "next", "setattr", "delattr", "setitem", "delitem", "enter", "exit"})
# Methods by which a value says how it compares with another; each is handed what is expected.
_QUESTIONS = frozenset(
    "equals eq ne lt le gt ge isin issubset issuperset isdisjoint difference symmetric_difference intersection "
    "startswith endswith is_relative_to".split()
)
# Methods of builtin types by which a value says whether it holds what is expected.
_FINDING = frozenset({"count", "find", "index", "rfind", "rindex"})
_RESUMING = frozenset({"send", "throw", "next"})  # methods of an iterator

_MADE: dict[str, Callable[[Any], Any]] = {
    "signature": about.made_signature,
    "code": about.made_code,
    "data_fields": about.made_fields,
}


class Candidate(Passed):
    """The program's process. Any description that it sends may be false; none may break the judge."""

    def __init__(self, descriptor: int, record: Record) -> None:
        super().__init__(descriptor, record)
        self._named: set[type] = set()  # the classes that the test is about
        self.environment: JudgeSide | None = None  # where the test names any of it
        self._printed = 0
        self._lengths = Lengths(record)
        # By handle:
        self._items: dict[int, int] = {}  # how many an iterator gave
        self._fresh: dict[int, int] = {}  # after which request a changing value was up to date
        self._driven: dict[int, Any] = {}  # the awaiting of a coroutine
        self._told: set[int] = set()  # what arithmetic made from a plain value that may be expected

    def ask(self, do: str, *args: object, **kwargs: object) -> Any:
        self.record.check_intact()
        self.record.requests += 1
        self.record.last_value = None
        if do in _CHANGING:
            self._lengths.may_have_changed()
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
            self.check_swallowed(error)
            raise
        self.check_swallowed(None)
        if self.environment is not None and (warning := self.environment.warned()) is not None:
            if isinstance(warning, (StopIteration, StopAsyncIteration, *never_excused())):
                self.record.spoil(type(warning).__name__, str(warning.args)[:1000])
            raise warning
        if do == "call":
            self.record.last_value = value
            self._lengths.called(args[0], value)
        return value

    def size(self, of: Proxy) -> int:
        return self._lengths.told(of, self.ask_exact(int, "len", of))

    def iterate(self, of: Proxy) -> Any:
        iterator = self.ask("iter", of)
        self._lengths.shown(of, iterator, named=self.is_named(of))
        return iterator

    def item(self, of: Proxy, key: object) -> Any:
        try:
            return self.ask("getitem", of, key)
        except IndexError:
            self._lengths.has_no_item(of, key)
            raise

    def attribute(self, of: Any, name: str) -> Any:
        self.record.looked_up += name.startswith("_")  # pytest looks at what it collects
        found = self.ask("getattr", of, name)
        if name == "__annotations__":
            self._checked(about.check_annotations, found)
        if isinstance(of, Proxy) and isinstance(found, Proxy):
            if name in _QUESTIONS | _FINDING and not self.is_named(of):
                if (own := valued.own_method(of, name)) is not None:
                    return own
                if name in _QUESTIONS:
                    return functools.partial(self._refuse_operator, name, of)
            if name in _RESUMING and hasattr(type(of), "__next__"):
                return functools.partial(self.ask, "resume", found)
            if name in _VIEWS:
                self._lengths.shown(of, found, named=self.is_named(of))
        return found

    def told(self, what: str, of: object) -> Any:
        """What the program's function or class says of itself (see about.py); it has no such attribute otherwise."""
        try:
            answer = self.ask(what, of)
        except Exception as problem:  # noqa: BLE001 - it cannot be described
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

    def hear_names(self, found: dict[str, Any]) -> None:
        """What the program has under names of the test's."""
        self._named |= {
            found[name] for name in self.class_names & found.keys() if isinstance(found[name], CandidateClass)
        }

    def is_theirs(self, value: object) -> bool:
        return isinstance(value, Proxy)

    def is_named(self, value: object) -> bool:
        """Whether this is, or is of, a class that the test is about: only such an object is believed."""
        cls = value if isinstance(value, CandidateClass) else type(value)
        return not self._named.isdisjoint(cls.__mro__)

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
        name = do if do in ARITHMETIC else do.removeprefix("i")
        strange = mixed and not self.is_named(one) and not self.is_named(other)
        if strange and name in LIKE_QUESTIONS:
            self._refuse_operator(do, one, other)
        result = self.ask(do, one, other)
        if told or strange or (mixed and name in LIKE_COMPARISONS):
            if not isinstance(result, Proxy) or isinstance(result, (int, float, complex)):
                self._refuse_operator(do, one, other)
            self._told.add(result._coderl_handle)
        return result

    def truth(self, of: Proxy) -> bool:
        """Of an object whose class says nothing of it."""
        if of._coderl_handle in self._told:
            self._refuse_operator("bool", of)
        sized = any("__len__" in vars(cls) for cls in type(of).__mro__)  # its metaclass has one, too
        return not sized or len(of) != 0

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

    def belongs(self, do: str, value: object, cls: CandidateClass) -> bool:
        """Whether it is of a class that decides by itself what belongs to it: a protocol, an abstract base."""
        return cls._coderl_decides and is_opaque(value) and self.ask_exact(bool, do, value, cls)

    def contains(self, container: object, item: object) -> bool:
        if not self.is_named(container) and not (self.has_classes and self.is_theirs(item)):
            # Its own __contains__ would be told the item; so its items are compared here.
            return any(each is item or each == item for each in iter(container))  # type: ignore[call-overload]
        return bool(self.ask_exact(bool, "contains", container, item))

    def next_item(self, iterator: Proxy) -> Any:
        count = self._items[iterator._coderl_handle] = self._items.get(iterator._coderl_handle, 0) + 1
        if count > _MAX_ITEMS:
            self.record.spoil("OutputLimit", f"an iterator gave more than {_MAX_ITEMS} items")
        try:
            return self.ask("next", iterator)
        except StopIteration:
            self._lengths.ended(iterator, count - 1)
            raise

    def _refuse_operator(self, do: str, *operands: object) -> NoReturn:
        names = " and ".join(type(each).__name__ for each in operands)
        self.record.fail_unit("OpaqueValue", f"operator {do} on objects that are not plain: {names}")

    def driven(self, coroutine: Proxy) -> Any:
        """The awaiting of that coroutine, which goes on each time that it is driven."""
        number = coroutine._coderl_handle
        if number not in self._driven:
            self._driven[number] = awaited_there(coroutine, "__await__")
        return self._driven[number]

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
        number, cls = handle_of(description.get("h")), self._class(description.get("of"))
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
