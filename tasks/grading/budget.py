"""Bounds the time that the host spends on evaluating a test, whose sender is not trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

UNITS = 50_000  # a few microseconds each
MAX_SOURCE = 4 * UNITS  # characters: no more can be literals of so many units
MAX_BITS = 100_000
_MAX_COLLISIONS = 32  # keys of one dict or set that may share a hash
_CONTAINERS = (list, tuple, set, frozenset, dict)


class NotLiteral(Exception):
    """The expression is not one whose value is known without running it, soon."""


class Budget:
    """Counts what the evaluation of one test has taken, and the size of the values that it made.

    A value's size is what it unfolds to: `(x, x)` counts `x` twice, as hashing, comparing or printing it does.
    """

    def __init__(self) -> None:
        self._left = UNITS
        self._sizes: dict[int, tuple[object, int]] = {}  # of containers, by id; kept alive

    def spend(self, units: int) -> None:
        self._left -= units
        if self._left < 0:
            raise NotLiteral("takes long")

    def made(self, value: Any) -> Any:
        """`value`, whose parts were made before, counted."""
        size = self.size(value)
        if not isinstance(value, _CONTAINERS):
            self.spend(size)
        return value

    def size(self, value: object) -> int:
        """In units; of a container that was not measured before, in time linear in its length."""
        if isinstance(value, int):
            bits = value.bit_length()
            if bits > MAX_BITS:
                raise NotLiteral("large int")
            return 1 + bits // 16
        if isinstance(value, (str, bytes)):
            return 1 + len(value) // 64
        if not isinstance(value, _CONTAINERS):
            return 1
        known = self._sizes.get(id(value))
        if known is None:
            self.spend(len(value))
            size = 1 + sum(map(self.size, _parts(value)))
            if size > UNITS:
                raise NotLiteral("large value")
            known = self._sizes[id(value)] = value, size
        return known[1]

    def check_keys(self, keys: Sequence[Any]) -> None:
        """Before they become a dict's or a set's: hashing them takes as long as they are large, collisions longer."""
        self.spend(sum(map(self.size, keys)))
        if len(keys) > _MAX_COLLISIONS and max(Counter(map(hash, keys)).values()) > _MAX_COLLISIONS:
            raise NotLiteral("keys of one hash")


def _parts(value: Any) -> Iterable[object]:
    return (*value.keys(), *value.values()) if isinstance(value, dict) else value
