"""Keeps answers, for equal questions."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


class Memory:
    """Answers by key, the most recently used ones up to `max_bytes`."""

    _OVERHEAD = 500  # bytes that an answer costs besides its text

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._texts: OrderedDict[Any, tuple[bytes, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, key: Any) -> tuple[bytes, bytes] | None:
        """(digest, text) of what is known under `key`."""
        if key in self._texts:
            self._texts.move_to_end(key)
        return self._texts.get(key)

    def put(self, key: Any, digest: bytes, text: bytes) -> None:
        """Does not replace a known answer: the first one stands."""
        if key in self._texts:
            return
        self._texts[key] = (digest, text)
        self._bytes += len(text) + self._OVERHEAD
        while self._bytes > self._max_bytes:
            _, (_, dropped) = self._texts.popitem(last=False)
            self._bytes -= len(dropped) + self._OVERHEAD
