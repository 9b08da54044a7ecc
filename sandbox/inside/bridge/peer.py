"""Remote calls between the judge's process and the program's, over one socket.

Requests nest like calls in one process: while a peer waits for its answer it serves what the other side asks
(the program may call a function that the test passed to it). So one thread of each side is enough, and
answers need no queue; a request's number is echoed only to notice a peer that lost count.

    request  {"id": 3, "do": "call", "args": <node of (positional, keyword)>, "fields": [<fields>...], "changes": ...}
    answer   {"re": 3, "value": <node>, "changes": [[container number, content], ...], "fields": [<fields>...]}
             {"re": 3, "raise": <exception>, "changes": ...}
             {"re": 3, "broken": "why the value cannot cross"}

Arguments are copies. What the callee did to the lists, dicts, arrays and the like among them comes back with
the answer and is done to the caller's own objects; a result that is one of them is the caller's object. Instances
of classes that both sides know cross the same way: `fields` holds what they hold, outside of the values, so that
a linked list of any length needs no depth.
"""

from __future__ import annotations

import builtins
from _thread import RLock
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.inside import wire
from sandbox.inside.bridge.kept import Kept, items, same
from sandbox.inside.values.codec import MAX_BYTES, CodecError, Container, Decoder, Encoder
from sandbox.inside.values.plain import PLAIN

BUILTIN_ERRORS = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception) and not issubclass(value, ExceptionGroup)
}
# Operators between two objects of the program's, by the names of their special methods.
ARITHMETIC = [
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "lshift",
    "rshift",
    "and",
    "or",
    "xor",
]
# Those whose result may tell that two values are the same, or near: `abs(x - 3.5) < 1e-6`.
LIKE_COMPARISONS = frozenset({"sub", "truediv", "floordiv", "mod", "divmod", "xor"})
# Those, and the ones whose truth may tell that one holds of the other what is expected: `f(x) & wanted`.
LIKE_QUESTIONS = LIKE_COMPARISONS | {"and", "or"}


class BrokenPeer(Exception):
    """The other side ended, or sent what makes no sense."""


class Handles:
    """Objects of this side that the other side holds, by number; they stay alive, so numbers stay unique."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def number(self, value: object) -> int:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return self._numbers[id(value)]

    def __contains__(self, value: object) -> bool:
        return id(value) in self._numbers

    def get(self, number: object) -> Any:
        if type(number) is not int or not 0 <= number < len(self._objects):
            raise CodecError("no such handle")
        return self._objects[number]


class Peer:
    """One side. The subclass says what it serves, and how objects that are not plain are described."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._frames = wire.Frames(descriptor, max_bytes=2 * MAX_BYTES)
        self._sent = 0
        self._depth = 0  # of requests that are made or served
        self._kept = Kept()
        self.keeps = False  # whether containers are the same ones from message to message
        self._turn = RLock()
        self.handles = Handles()

    def describe(self, value: Any) -> object | None:
        """JSON for an object that does not cross by value (see `Encoder`)."""
        raise NotImplementedError

    def resolve(self, description: Any) -> object:
        """The counterpart of the other side's `describe`; `CodecError` where it makes no sense."""
        raise NotImplementedError

    def node(self, encoder: Encoder, value: Any, depth: int) -> object | None:
        """The node of a value that is neither plain nor the standard library's; None: it is stripped, or opaque."""
        if issubclass(type(value), PLAIN):
            return None
        description = self.describe(value)
        return None if description is None else {"foreign": description}

    def value(self, decoder: Decoder, description: Any, depth: int) -> object:
        """What the other side's `node` describes."""
        return self.resolve(description)

    def encoder(self, known: Sequence[Container] = ()) -> Encoder:
        return Encoder(known=known, foreign=self.node, wide=True)

    def decoder(self, known: Sequence[Container] = ()) -> Decoder:
        return Decoder(known=known, foreign=self.value, cyclic=True, wide=True)

    def packed(self, value: object) -> object:
        """A value beside those of a request or an answer."""
        encoder = self.encoder()
        return {"value": encoder.node(value), "fields": encoder.fields()}

    def unpacked(self, packed: Any) -> Any:
        if type(packed) is not dict:
            raise CodecError("not a packed value")
        decoder = self.decoder()
        value = decoder.value(packed.get("value"))
        decoder.fields(packed.get("fields"))
        return value

    def perform(self, do: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Serves a request. What it raises goes to the other side by `describe_error`."""
        raise NotImplementedError

    def describe_error(self, error: BaseException) -> object:
        """JSON for an exception that `perform` raised; raises it again where it must not cross."""
        raise NotImplementedError

    def error(self, description: Any) -> BaseException:
        """The exception that the other side described."""
        raise NotImplementedError

    def request(self, do: str, args: Sequence[object], kwargs: Mapping[str, object] | None = None) -> Any:
        """Asks the other side. Raises what it raised, or `BrokenPeer`, or `CodecError` for our arguments."""
        with self._turn:
            kept = self._kept_now()
            encoder = self.encoder(kept.containers if kept else ())
            changes = [[n, encoder.content(kept.containers[n])] for n in kept.changed()] if kept else []
            node = encoder.node((tuple(args), dict(kwargs or {})))
            self._sent += 1
            number = self._sent
            message = {"id": number, "do": do, "args": node, "fields": encoder.fields()}
            self._send(message | {"changes": changes} if changes else message)
            self._depth += 1
            try:
                while "re" not in (message := self._receive()):
                    self._serve(message)
            finally:
                self._depth -= 1
            if message["re"] != number:
                raise BrokenPeer("an answer to another question")
            return self._result(message, encoder.containers, kept)

    def _kept_now(self) -> Kept | None:
        """What both sides hold, for an exchange that is within no other."""
        return self._kept if self.keeps and not self._depth else None

    def serve_until_end(self) -> None:
        """Serves requests until the other side closes."""
        while True:
            try:
                message = self._receive()
            except BrokenPeer:
                return
            self._serve(message)

    def _result(self, message: dict[str, Any], known: Sequence[Container], kept: Kept | None) -> Any:
        if "broken" in message:
            raise BrokenPeer(str(message["broken"])[:500])
        try:
            decoder = self.decoder(known)
            value = decoder.value(message.get("value"))
            _change(decoder, known, message)
            decoder.fields(message.get("fields", []))
            if kept:
                kept.keep(decoder.containers)
            error = self.error(message["raise"]) if "raise" in message else None
        except (CodecError, TypeError, ValueError, RecursionError) as problem:
            raise BrokenPeer(f"malformed answer: {problem}") from None
        if error is not None:
            raise error
        return value

    def _serve(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        try:
            kept = self._kept_now()
            decoder = self.decoder(kept.containers if kept else ())
            _change(decoder, decoder.containers[:], message)
            args, kwargs = decoder.value(message.get("args"))
            decoder.fields(message.get("fields", []))
            do = message.get("do")
            if type(args) is not tuple or type(kwargs) is not dict or type(do) is not str:
                raise CodecError("not a request")
        except (CodecError, TypeError, ValueError) as problem:
            raise BrokenPeer(f"malformed request: {problem}") from None
        before = [items(container) for container in decoder.containers]
        answer: dict[str, Any] = {"re": number}
        encoder = self.encoder(decoder.containers)
        self._depth += 1
        try:
            value = self.perform(do, args, kwargs)
        except BaseException as error:  # noqa: BLE001 - the boundary between the two
            answer["raise"] = self.describe_error(error)
            value = None
        finally:
            self._depth -= 1
        try:
            answer["value"] = encoder.node(value)
            answer["changes"] = [
                [index, encoder.content(container)]
                for index, (container, old) in enumerate(zip(decoder.containers, before, strict=True))
                if not same(items(container), old)
            ]
            answer["fields"] = encoder.fields()
            self._send(answer)
            if kept:
                kept.keep(encoder.containers)
        except (CodecError, RecursionError) as problem:
            self._send({"re": number, "broken": f"{type(problem).__name__}: {problem}"})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            wire.send(self._descriptor, message)
        except OSError:
            raise BrokenPeer("the other side ended") from None

    def _receive(self) -> dict[str, Any]:
        try:
            message = self._frames.receive()
        except (OSError, wire.WireError) as problem:
            raise BrokenPeer(f"unreadable message: {problem}") from None
        if message is None:
            raise BrokenPeer("the other side ended")
        return message


def _change(decoder: Decoder, known: Sequence[Container], message: dict[str, Any]) -> None:
    for number, content in message.get("changes", ()):
        if type(number) is not int or not 0 <= number < len(known):
            raise CodecError("a change of nothing")
        decoder.refill(known[number], content)
