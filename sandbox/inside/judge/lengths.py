"""Holds the program's objects to the lengths that they tell.

An object that told the test its length must give as many items where asserts are made of each. Anywhere, one of a
class that the test does not name must give some: `len(f(x)) == 2 and not set(f(x)) - wanted`. What it told counts
until the program may have changed it.
"""

from __future__ import annotations

from typing import NoReturn

from sandbox.inside.judge.proxies import Proxy
from sandbox.inside.judge.seen import Record


class Lengths:
    """All by handle."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._sizes: dict[int, int] = {}  # of objects
        self._promised: dict[int, int] = {}  # of iterators, and of methods: how many items they owe
        self._sources: dict[int, int] = {}  # of both, the object, unless it is of a class that the test names
        self._empty: set[int] = set()  # such objects that gave no item

    def may_have_changed(self) -> None:
        self._sizes.clear()
        self._empty.clear()

    def told(self, of: Proxy, count: int) -> int:
        if self._sizes.setdefault(of._coderl_handle, count) != count:
            self._contradict("the length of an object changes from question to question")
        if count and of._coderl_handle in self._empty:
            self._contradict(f"an object of length {count} gives no items")
        return count

    def shown(self, of: Proxy, by: object, *, named: bool) -> None:
        """`by`, an iterator or a method, gives the items of the object."""
        if not isinstance(by, Proxy):
            return
        if size := self._sizes.get(of._coderl_handle):
            self._promised[by._coderl_handle] = size
            self._sizes.setdefault(by._coderl_handle, size)
        if not named:
            self._sources[by._coderl_handle] = of._coderl_handle

    def called(self, method: object, value: object) -> None:
        if not isinstance(method, Proxy) or not (owed := self._promised.get(method._coderl_handle, 0)):
            return
        if isinstance(value, Proxy):
            self._promised[value._coderl_handle] = self._sizes[value._coderl_handle] = owed
        elif isinstance(value, (list, tuple, dict, set, frozenset)):
            self._check(method, len(value), owed)

    def has_no_item(self, of: Proxy, key: object) -> None:
        if type(key) is int and 0 <= key < self._sizes.get(of._coderl_handle, 0) and self._record.watching:
            self._contradict("an object has no item below its length")

    def ended(self, iterator: Proxy, given: int) -> None:
        """It has given that many items, and has no more."""
        self._check(iterator, given, self._promised.get(iterator._coderl_handle, 0))
        if not given and (source := self._sources.get(iterator._coderl_handle)) is not None:
            self._empty.add(source)

    def _check(self, by: Proxy, given: int, owed: int) -> None:
        if given < owed and (self._record.watching or (not given and by._coderl_handle in self._sources)):
            self._contradict(f"an object of length {owed} gives {given} items")

    def _contradict(self, message: str) -> NoReturn:
        self._record.fail_unit("Contradiction", message)
