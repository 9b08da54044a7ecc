"""Which modules a supervisor imports ahead, so that the processes that it forks find them.

Each module costs every fork its pages, so at the start there are only those that most programs use. The rest, and
large ones that only a judge's image has, are imported once a program or test names them: the host sends the names,
never the text. Not `hashlib` and what needs it: OpenSSL's library would cost all later forks more than it saves.
"""

from __future__ import annotations

import re

from sandbox.inside.values import extensions

ALWAYS = (
    "abc base64 bisect builtins collections collections.abc contextlib copy functools heapq io itertools json keyword "
    "math operator os re string struct sys time types typing"
).split()
_LATER = frozenset(
    "array ast calendar cmath csv dataclasses datetime decimal difflib enum fractions inspect numbers pprint "
    "queue random statistics textwrap threading traceback unicodedata unittest uuid".split()
)
HARMLESS = frozenset(ALWAYS) | _LATER  # to import, wherever that is
_LARGE = frozenset({"numpy", "pandas", "pytest"})
_IMPORTS = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w+(?:[ \t]*,[ \t]*\w+)*)", re.MULTILINE)


def named_by_program(source: str, prelude: str = "") -> list[str]:
    """Those of the standard library that `source` and `prelude` seem to import."""
    return sorted(_named(f"{prelude}\n{source}" if prelude else source) & _LATER)


def named_by_test(source: str) -> list[str]:
    return sorted(_named(source) & (_LATER | _LARGE))


def for_values(source: str, large: bool = False) -> list[str]:
    """The files of ours by which values cross of modules that `source` seems to import."""
    return extensions.named(_named(source) - (set() if large else _LARGE))


def _named(source: str) -> set[str]:
    return {name.strip() for names in _IMPORTS.findall(source) for name in names.split(",")}
