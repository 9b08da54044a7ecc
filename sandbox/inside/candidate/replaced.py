"""What a test replaces in the program's own module and classes.

To the test these are objects without a `__dict__`: to undo a replacement, pytest and mock delete it and expect the
original to reappear.
"""

from __future__ import annotations

from typing import Any


class Replaced:
    def __init__(self) -> None:
        self._originals: dict[tuple[int, str], tuple[object, object]] = {}  # (holder, kept alive; its value)

    def set(self, holder: Any, name: str, value: object) -> None:
        if name in vars(holder):
            self._originals.setdefault((id(holder), name), (holder, vars(holder)[name]))
        setattr(holder, name, value)

    def delete(self, holder: Any, name: str) -> None:
        found = self._originals.pop((id(holder), name), None)
        if found is None:
            delattr(holder, name)
        else:
            setattr(holder, name, found[1])
