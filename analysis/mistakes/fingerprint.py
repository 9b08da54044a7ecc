"""What makes two failures "the same error", at three depths.

L0  phase and exception type:          `call:TypeError`
L1  L0, the message's template and the normalised source line of the deepest candidate frame
L2  L1 and a hash of the vector of (test, status, output)

A wrong answer's error, where there is one, arose in the test that compares and not in the program: it
counts for L2 only, so that L1 does not depend on how the tests were run.

L1 names a kind of mistake and holds across tasks. L2 tells wrong answers apart; it is meant for
comparing samples of one task. A fault of ours (INFRA) and a pass have no fingerprint. Raise `VERSION`
with any change that alters a fingerprint: counts of different versions must not be compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from analysis.reading.rows import Row

VERSION = 1

LONGEST_MESSAGE = 2000
# Exceptions whose messages quote names (attributes, modules, parameters, types), which are kept.
# Other messages quote values, which differ from input to input and are masked.
_QUOTES_NAMES = frozenset(
    {"AttributeError", "ImportError", "ModuleNotFoundError", "NameError", "UnboundLocalError"}
    | {"TypeError", "SyntaxError", "IndentationError", "TabError"}
)
_QUOTED = re.compile(r"""(?<!\w)('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?!\w)""", re.DOTALL)
_NAME_OR_TOKEN = re.compile(r"['\"](?:[A-Za-z_][\w.]{0,60}(?:\(\))?|[^\w\s]{1,3})['\"]\Z")
_PLACE = re.compile(r"\s*\([^()]{0,200}, line \d+\)\s*\Z")  # what str(SyntaxError) appends
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?(?!\w)")
_SOURCE_TOKEN = re.compile(
    r"""(?P<string>(?:\b[rRbBuUfFtT]{1,2})?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))
    |(?P<comment>\#.*)
    |(?P<number>(?:\d[\w]*\.?\d*|\.\d+)(?:(?<=[eE])[-+]\d+)?)
    |(?P<word>\w+)
    |(?P<operator>\*\*=?|//=?|<<=?|>>=?|->|[-+*/%&|^<>=!@:]=|\S)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`l1` is a short hash of `l0`, `template` and `source`; `l2` is `l1`, a dot, and a hash of outputs."""

    l0: str
    l1: str
    l2: str
    template: str
    source: str


def fingerprint(row: Row) -> Fingerprint | None:
    """The row's fingerprint; None where it passed or the fault was ours."""
    if row.phase in ("passed", "infra") or row.passed is None:
        return None
    wrong = row.phase == "wrong"
    l0 = f"{row.phase}:{row.error_type}" if row.error_type and not wrong else row.phase
    template = "" if wrong else message_template(row.error_type, row.error_message)
    source = "" if wrong else source_template(row.error_source)
    l1 = _hash((l0, template, source))
    outputs = [part for test in row.tests for part in (test.name, test.status, mask_addresses(test.actual))]
    if wrong and row.error_type:
        outputs += [row.error_type, message_template(row.error_type, row.error_message)]
    return Fingerprint(l0, l1, f"{l1}.{_hash(outputs)}", template, source)


@lru_cache(maxsize=4096)
def message_template(error_type: str, message: str) -> str:
    """The message with addresses, numbers and quoted values masked; names are kept."""
    message = _PLACE.sub("", message[:LONGEST_MESSAGE])
    keep_names = error_type in _QUOTES_NAMES

    def mask_quoted(match: re.Match[str]) -> str:
        return match[0] if keep_names and _NAME_OR_TOKEN.match(match[0]) else "<str>"

    message = _QUOTED.sub(mask_quoted, mask_addresses(message))
    return " ".join(_NUMBER.sub("<num>", message).split())


@lru_cache(maxsize=4096)
def source_template(line: str) -> str:
    """A source line as its tokens with single spaces: literals masked, comments dropped.

    Not by `tokenize`: its tokens differ between Python versions (f-strings), and a line is often no
    whole statement.
    """
    tokens = _SOURCE_TOKEN.finditer(line.strip()[:LONGEST_MESSAGE])
    kinds = {"string": "<str>", "number": "<num>", "comment": ""}
    parts = (kinds.get(token.lastgroup or "", token[0]) for token in tokens)
    return " ".join(part for part in parts if part)


def mask_addresses(text: str) -> str:
    return _ADDRESS.sub("<addr>", text) if "0x" in text else text


def _hash(parts: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))  # so that parts cannot run into each other
        digest.update(data)
    return digest.hexdigest()
