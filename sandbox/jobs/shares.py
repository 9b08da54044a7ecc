"""Which parts of the environment a test shares with the program: those that it names.

Read from the text alone, by the host, once a test; see `sandbox/inside/bridge/environment.py` for what the parts are.
"""

from __future__ import annotations

import ast
import re

from sandbox.parsing import parse

_WORDS = {
    "files": "open tmp_path tmp_path_factory tmpdir tmpdir_factory tempfile os pathlib Path shutil glob zipfile "
    "tarfile sqlite3 to_csv read_csv chdir listdir",
    "environ": "environ setenv delenv getenv putenv monkeypatch",
    "folder": "chdir",
    "stdin": "stdin",
    "random": "seed setstate set_state",
    "logging": "logging assertLogs assertNoLogs caplog",
    "warnings": "warnings warns assertWarns assertWarnsRegex recwarn deprecated_call filterwarnings",
    "patches": "patch setattr delattr",
}
_PARTS = {word: part for part, words in _WORDS.items() for word in words.split()}
_WORD = re.compile(r"[A-Za-z_]\w*")


def shares(test: str) -> list[str]:
    """The parts' names. Raises `SyntaxError` where the test is not Python."""
    found = {_PARTS[word] for word in set(_WORD.findall(test)) & _PARTS.keys()}
    if "patches" not in found and _assigns_to_imported(parse(test)):
        found.add("patches")
    return sorted(found)


def _assigns_to_imported(tree: ast.Module) -> bool:
    """Whether an attribute of something imported is assigned: `time.sleep = ...`."""
    imported, assigned = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            assigned |= {name.id for name in ast.walk(node.value) if isinstance(name, ast.Name)}
    return bool(imported & assigned)
