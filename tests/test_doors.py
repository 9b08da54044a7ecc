"""Which room may import which, read from the source; and that the light rooms stay light when loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = ("sandbox", "tasks", "coderl", "analysis")

# What each room may import of the others; a whole room, or single modules of it.
DOORS = {
    "sandbox": (),
    "tasks": ("sandbox.protocol", "sandbox.inside.values.codec"),
    "coderl": ("sandbox", "tasks", "analysis"),
    "analysis": (),
}
VLLM_FILES = {"coderl/sampling/branching.py", "coderl/sampling/sampler.py", "coderl/sampling/publish.py"}
# What an image has besides Python, and the files that load it, where a test or a value needs it.
IMAGE = {
    "sandbox/inside/judge/with_pytest.py": {"pytest"},
    "sandbox/inside/values/arrays.py": {"numpy"},
    "sandbox/inside/values/frames.py": {"numpy", "pandas"},
}


@dataclass(frozen=True)
class Import:
    file: str  # relative to the repository
    line: int
    modules: tuple[str, ...]  # absolute; for `from a import b` both a and a.b, since b may be a module
    deferred: bool  # inside a function, or under TYPE_CHECKING

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.modules[-1]}"


def imports_of(source: str, file: str) -> list[Import]:
    """Every import in one file, wherever it stands."""
    package = file.removesuffix(".py").removesuffix("/__init__").split("/")
    if not file.endswith("/__init__.py"):
        package = package[:-1]

    def walk(node: ast.AST, deferred: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, (alias.name,), deferred)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            base = base if node.level else str(node.module)
            for alias in node.names:
                yield Import(file, node.lineno, (base, f"{base}.{alias.name}"), deferred)
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        inner = (
            deferred or typing_only or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        )
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inner)

    return list(walk(ast.parse(source), False))


def room_imports(room: str) -> list[Import]:
    found = []
    for path in sorted((REPOSITORY / room).rglob("*.py")):
        file = path.relative_to(REPOSITORY).as_posix()
        found += imports_of(path.read_text(), file)
    assert found, f"{room} holds no imports: is the path right?"
    return found


def within(module: str, door: str) -> bool:
    return module == door or module.startswith(door + ".")


@pytest.mark.parametrize(
    ("statement", "modules"),
    [
        ("import torch.nn", {"torch.nn"}),
        ("from sandbox import protocol", {"sandbox", "sandbox.protocol"}),
        ("from . import b", {"tasks.x", "tasks.x.b"}),
        ("from ..y import b", {"tasks.y", "tasks.y.b"}),
    ],
)
def test_the_reader_sees_every_form_of_import(statement: str, modules: set[str]) -> None:
    source = f"def f():\n    if 1:\n        {statement}\n"
    (found,) = imports_of(source, "tasks/x/a.py")
    assert (set(found.modules), found.deferred, found.line) == (modules, True, 3)
    assert not imports_of(statement, "tasks/x/a.py")[0].deferred


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_through_their_doors(room: str) -> None:
    others = [other for other in (*ROOMS, "tests") if other != room]
    wrong = [
        str(found)
        for found in room_imports(room)
        if any(within(found.modules[0], other) for other in others)
        and not any(within(module, door) for module in found.modules for door in DOORS[room])
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", ["sandbox", "tasks", "analysis"])
def test_light_rooms_name_no_torch_and_no_vllm(room: str) -> None:
    heavy = ("torch", "vllm", "transformers")
    wrong = [
        str(found) for found in room_imports(room) if any(within(found.modules[0], name) for name in heavy)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_sampler_and_publishing_import_vllm_and_lazily() -> None:
    found = [found for found in room_imports("coderl") if within(found.modules[0], "vllm")]
    assert {one.file for one in found} == VLLM_FILES
    eager = [str(one) for one in found if not one.deferred]
    assert not eager, "\n".join(eager)


def test_what_runs_in_the_cell_needs_the_standard_library_only() -> None:
    """A cell holds Python and the files of sandbox/inside, nothing else."""
    wrong = [
        str(found)
        for found in room_imports("sandbox/inside")
        if (name := found.modules[0].partition(".")[0]) not in sys.stdlib_module_names
        and not within(found.modules[0], "sandbox.inside")
        and not (REPOSITORY / "sandbox" / "inside" / f"{name}.py").exists()
        and name not in IMAGE.get(found.file, ())
    ]
    assert not wrong, "\n".join(wrong)


LOAD_ALL = """
import importlib, pkgutil, sys
room = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    if not module.name.endswith("__main__") and not module.name.startswith("sandbox.inside."):
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "vllm", "transformers"}))
"""


@pytest.mark.parametrize("room", ["sandbox", "tasks", "analysis"])
def test_loading_every_module_of_a_light_room_loads_no_torch(room: str) -> None:
    """Also not through a library that imports it by itself, which the source does not show."""
    ran = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, room], capture_output=True, text=True, cwd=REPOSITORY, timeout=240
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []
