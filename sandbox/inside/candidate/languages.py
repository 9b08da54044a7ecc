"""Languages besides Python. One is an entry here: its programs are compiled in a cell, then run on standard inputs.

The host and cells know them; a cell says at its start which compilers it has.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Language(NamedTuple):
    """`command` compiles: the compiler's path and options, after which come `-o EXECUTABLE SOURCE`."""

    suffixes: tuple[str, ...]  # of source files, the usual one first
    command: tuple[str, ...]
    packages: tuple[str, ...]  # of Debian, which hold the compiler


LANGUAGES = {
    "cpp": Language(
        suffixes=(".cpp", ".cc", ".cxx"),
        command=(
            "/usr/bin/g++",
            "-O2",
            "-std=gnu++17",
            "-pipe",
            "-fmax-errors=20",
            "-fdiagnostics-color=never",
        ),
        packages=("g++",),
    ),
}


def available() -> list[str]:
    """Those whose compiler is here."""
    return [name for name, each in LANGUAGES.items() if os.access(each.command[0], os.X_OK)]
