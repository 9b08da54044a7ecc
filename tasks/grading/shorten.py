"""Values and texts of programs, made short and harmless for people and files."""

from __future__ import annotations

import reprlib

from sandbox.inside.values.codec import Opaque

LIMIT = 400  # characters


class _Short(reprlib.Repr):
    """Bounded in time and length, also for ints beyond Python's limit for decimal text."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 5
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 12
        self.maxstring = self.maxother = 120

    def repr_int(self, x: int, level: int) -> str:
        if x.bit_length() > 4000:
            return f"<int of {x.bit_length()} bits>"
        return super().repr_int(x, level)

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= self.maxother else f"{bytes(x[: self.maxother])!r}..."

    repr_bytearray = repr_bytes

    def repr_range(self, x: range, level: int) -> str:
        return f"range({', '.join(self.repr1(part, level) for part in (x.start, x.stop, x.step))})"


_short = _Short()


def short(value: object, limit: int = LIMIT) -> str:
    """A `repr` for people, at most `limit` characters long."""
    kind = type(value)
    if kind is bool or kind is float or (kind is int and abs(value) < 1 << 64):  # type: ignore[arg-type]
        return repr(value)
    try:
        text = f"<{value.type_name} object>" if isinstance(value, Opaque) else _short.repr(value)
    except Exception as error:  # noqa: BLE001 - a verdict must be written for any value
        text = f"<no text: {type(error).__name__}>"
    return shortened(text, limit)


def shortened(text: str, limit: int = LIMIT) -> str:
    """`text` from a program, at most `limit` characters long, and encodable."""
    text = encodable(text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 3] + "..."


def encodable(text: str) -> str:
    """`text` as any file can hold it: a program may put lone surrogates into what it prints or raises."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
