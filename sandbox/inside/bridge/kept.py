"""Lists, dicts and sets that both sides of a `Peer` hold, beyond the call in which they crossed.

Where a test is about classes, what it handed to an object may be changed by a later call, and what an object gave it
may be the object's own (`stack.items.append(1)`). So both sides keep the containers of their messages, in one order;
each message begins with what the sender did to them since the last one. Only the latest are kept, as many as are cheap
to compare each time. Both sides count alike; a program that does not harms only itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sandbox.inside import wire
from sandbox.inside.values import extensions, instances
from sandbox.inside.values.encoder import Encoder
from sandbox.inside.values.plain import Container

_MAX_ITEMS = 5_000
_KEPT = (list, dict, set, bytearray, deque)


class Kept:
    def __init__(self) -> None:
        self.containers: list[Container] = []
        self._before: list[list[object]] = []

    def keep(self, containers: Sequence[Container]) -> None:
        """All that the two sides hold as an exchange of theirs ends."""
        room = _MAX_ITEMS
        latest: list[Container] = []
        for each in reversed(containers):
            if isinstance(each, _KEPT) and len(each) < room:
                room -= 1 + len(each)
                latest.append(each)
        self.containers = latest[::-1]
        self._before = [items(each) for each in self.containers]

    def changed(self) -> list[int]:
        """The numbers of those that were changed since."""
        pairs = zip(self.containers, self._before, strict=True)
        return [number for number, (each, before) in enumerate(pairs) if not same(items(each), before)]


def items(container: Container) -> list[object]:
    """What tells whether a container was changed: the identity of what it holds; where it holds no objects, a text."""
    if isinstance(container, dict):
        return [item for pair in container.items() for item in pair]
    if isinstance(container, (list, set, bytearray, deque)):
        return list(container)
    if (file := extensions.of_container(container)) is not None:
        return [wire.to_json(file.CONTENTS[type(container)](Encoder(wide=True), container, 0))]
    return [item for field in instances.fields(container).items() for item in field]


def same(now: list[object], before: list[object]) -> bool:
    return len(now) == len(before) and all(map(_is_same, now, before))


def _is_same(one: object, other: object) -> bool:
    return one is other or (type(one) is str and type(other) is str and one == other)
