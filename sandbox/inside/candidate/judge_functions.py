"""The judge's functions and iterators, as the program has them."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from sandbox.inside.bridge import about

if TYPE_CHECKING:
    from sandbox.inside.bridge.peer import Peer


class JudgeFunction:
    """A callable of the judge's. It can be called, asked for its signature, and nothing else."""

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_number",
        "_peer",
    )  # `functools.wraps` copies what is in `__dict__`

    def __init__(self, peer: Peer, number: int, texts: dict[str, str]) -> None:
        self._peer = peer
        self._number = number
        vars(self).update(texts)

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self._peer.request("call", (self, *args), kwargs)

    @property
    def __signature__(self) -> Any:
        return about.made_signature(self._peer.request("signature", (self,)))

    @property
    def __code__(self) -> Any:
        return about.made_code(self._peer.request("code", (self,)))


class JudgePlainFunction(JudgeFunction):
    """One that becomes a method where it is an attribute of a class."""

    def __get__(self, instance: object, owner: object = None) -> object:
        return self if instance is None else types.MethodType(self, instance)


class JudgeIterator(JudgeFunction):
    """An iterator of the judge's; calling its handle gives the next item."""

    def __iter__(self) -> JudgeIterator:
        return self

    def __next__(self) -> object:
        return self()
