"""Making model-written text safe to look at: every invisible or commanding character becomes visible.

Escaping HTML is the template's work; this takes away what stays dangerous as plain text: NUL and other
control characters, terminal escapes, marks that reorder text (Trojan Source, CVE-2021-42574),
zero-width characters, lone surrogates, and sheer length.
"""

from __future__ import annotations

import re

LONGEST_TEXT = 6000
LONGEST_LINE = 400

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def inert(text: str, longest: int = LONGEST_TEXT) -> str:
    """`text` with hidden characters as `\\u{...}` escapes, long lines and long texts shortened in the middle.

    Tabs and line feeds stay; carriage returns before a line feed go.
    """
    text = shorten(text, longest, "characters").replace("\r\n", "\n")
    lines = (shorten(line, LONGEST_LINE, "characters of this line") for line in text.split("\n"))
    return _HIDDEN.sub(_escape, "\n".join(lines))


def one_line(text: str, longest: int = 160) -> str:
    """`text` as a single inert line."""
    return _HIDDEN.sub(_escape, shorten(" ".join(text[: 4 * longest].split()), longest, "characters"))


def shorten(text: str, longest: int, what: str) -> str:
    """Two thirds of `longest` from the head, one third from the tail, and how many `what` are left out."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    left_out = len(text) - longest
    return f"{text[: longest - tail]} … {left_out:,} {what} left out … {text[len(text) - tail :]}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:04x}}}"
