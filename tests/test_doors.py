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

# What each room may import of the others. What stands for itself in the table (a file, a room within a room) has a line
# of its own; a name on the right lets in all that is under it, as far as that has no line of its own.
DOORS = {
    "sandbox": "sandbox.client sandbox.pool sandbox.protocol",  # its front door, `import sandbox`
    "sandbox.errors": "",
    "sandbox.parsing": "",
    "sandbox.protocol": "sandbox.errors sandbox.inside.wire sandbox.inside.values",
    "sandbox.job_json": "sandbox.protocol sandbox.inside.values",
    "sandbox.inside": "",
    "sandbox.inside.wire": "",
    "sandbox.inside.values": "sandbox.inside.wire",
    "sandbox.inside.supervisor": "sandbox.inside.wire sandbox.inside.values",
    "sandbox.inside.bridge": "sandbox.inside.wire sandbox.inside.values",
    "sandbox.inside.candidate": (
        "sandbox.inside.wire sandbox.inside.values sandbox.inside.bridge sandbox.inside.supervisor"
    ),
    "sandbox.inside.judge": "sandbox.inside.wire sandbox.inside.values sandbox.inside.bridge sandbox.inside.candidate",
    "sandbox.inside.rehearsal": "sandbox.inside.wire sandbox.inside.values sandbox.inside.judge",
    "sandbox.inside.boot": (
        "sandbox.inside.wire sandbox.inside.rehearsal sandbox.inside.supervisor sandbox.inside.candidate "
        "sandbox.inside.judge"
    ),
    "sandbox.backends": "sandbox.errors sandbox.protocol sandbox.inside.wire sandbox.inside.supervisor sandbox.inside",
    "sandbox.image": "sandbox.errors sandbox.backends sandbox.inside.candidate",
    "sandbox.jobs": (
        "sandbox.parsing sandbox.errors sandbox.protocol sandbox.backends sandbox.inside.wire sandbox.inside.values "
        "sandbox.inside.supervisor sandbox.inside.judge"
    ),
    "sandbox.pool": (
        "sandbox.parsing sandbox.errors sandbox.protocol sandbox.jobs sandbox.backends sandbox.image sandbox.inside.candidate "
        "sandbox.inside.supervisor"
    ),
    "sandbox.client": "sandbox.errors sandbox.protocol sandbox.job_json",
    "sandbox.daemon": "sandbox sandbox.errors sandbox.protocol sandbox.job_json sandbox.pool sandbox.inside.values",
    "sandbox.tools": (
        "sandbox sandbox.errors sandbox.protocol sandbox.pool sandbox.backends sandbox.image sandbox.inside.candidate"
    ),
    "tasks": (  # its front door, `import tasks`, too
        "sandbox.parsing sandbox.protocol sandbox.inside.values tasks.datasets tasks.extraction tasks.grading"
    ),
    "tasks.files": "",
    "tasks.extraction": "sandbox.parsing tasks",
    "tasks.builtin": "tasks",
    "tasks.grading": "sandbox.parsing tasks tasks.files tasks.builtin sandbox.protocol sandbox.inside.values",
    "tasks.datasets": "sandbox.parsing tasks tasks.builtin tasks.extraction tasks.grading sandbox.protocol",
    "tasks.validation": "sandbox.parsing tasks tasks.extraction tasks.grading sandbox.protocol",
    "tasks.runner": "sandbox sandbox.errors sandbox.protocol sandbox.client sandbox.pool",
    "tasks.commands": (
        "tasks tasks.files tasks.runner tasks.extraction tasks.grading tasks.datasets tasks.validation sandbox.protocol "
        "sandbox.daemon"
    ),
    "coderl.errors": "",
    "coderl.config": "coderl.errors tasks",
    "coderl.model": "coderl.errors coderl.config tasks",
    "coderl.sampling": "coderl.errors coderl.config coderl.model",
    "coderl.rollouts": (
        "coderl.errors coderl.config coderl.model coderl.sampling coderl.rollouts.batch tasks tasks.builtin tasks.datasets "
        "tasks.extraction tasks.grading tasks.runner tasks.validation"
    ),
    "coderl.rollouts.batch": "tasks tasks.extraction",
    "coderl.learning": "coderl.errors coderl.config coderl.model coderl.rollouts.batch tasks",
    "coderl.runfolder": (
        "coderl.errors coderl.config coderl.model coderl.runfolder.layout coderl.rollouts.batch tasks.files"
    ),
    "coderl.runfolder.layout": "",
    "coderl.training": (
        "coderl.errors coderl.config coderl.model coderl.sampling coderl.rollouts coderl.rollouts.batch "
        "coderl.learning coderl.runfolder coderl.runfolder.layout coderl.training.stages analysis analysis.report tasks tasks.builtin "
        "tasks.datasets tasks.files tasks.grading tasks.validation"
    ),
    "coderl.training.stages": "coderl.config coderl.rollouts.batch",
    "coderl.dynamics": "coderl.config coderl.learning coderl.runfolder coderl.training.stages",
    "coderl.study": (
        "coderl.errors coderl.config coderl.model coderl.sampling coderl.rollouts coderl.runfolder "
        "coderl.runfolder.layout coderl.training coderl.dynamics analysis.study tasks tasks.files tasks.datasets "
        "tasks.grading"
    ),
    "coderl.cli": (
        "coderl coderl.errors coderl.config coderl.model coderl.runfolder coderl.training coderl.dynamics coderl.study analysis "
        "analysis.report tasks tasks.commands tasks.datasets tasks.grading tasks.validation sandbox sandbox.errors sandbox.protocol "
        "sandbox.backends sandbox.image sandbox.daemon sandbox.tools"
    ),
    "coderl.__main__": "coderl.cli",
    "coderl": "",
    "analysis": "analysis.reading analysis.measures analysis.page analysis.report",  # errors, intervals; `compare`, `watch`
    "analysis.reading": "analysis coderl.runfolder.layout",
    "analysis.mistakes": "analysis.reading",
    "analysis.measures": "analysis analysis.reading analysis.mistakes coderl.runfolder.layout",
    "analysis.page": "analysis analysis.reading analysis.mistakes analysis.measures",
    "analysis.report": "analysis analysis.reading analysis.measures analysis.page tasks.files",
    "analysis.study": "analysis analysis.reading analysis.mistakes analysis.measures coderl.runfolder.layout tasks.files",
}
VLLM_FILES = {"coderl/sampling/branching.py", "coderl/sampling/engine.py", "coderl/sampling/publish.py"}
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
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.modules[-1]}"


def imports_of(source: str, file: str) -> list[Import]:
    """Every import in one file, wherever it stands."""
    package = file.removesuffix(".py").removesuffix("/__init__").split("/")
    if not file.endswith("/__init__.py"):
        package = package[:-1]

    def walk(node: ast.AST, deferred: bool, typing_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, (alias.name,), deferred, typing_only)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            base = base if node.level else str(node.module)
            for alias in node.names:
                yield Import(file, node.lineno, (base, f"{base}.{alias.name}"), deferred, typing_only)
        typing_only |= isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        deferred |= typing_only or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, deferred, typing_only)

    return list(walk(ast.parse(source), False, False))


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


def modules_of(room: str) -> dict[str, str]:
    """The modules of a room, each with its file."""
    files = [path.relative_to(REPOSITORY).as_posix() for path in sorted((REPOSITORY / room).rglob("*.py"))]
    return {file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in files}


MODULES = {module: file for room in ROOMS for module, file in modules_of(room).items()}


def line_of(module: str) -> str:
    """The line of the table that `module` belongs to."""
    return max((line for line in DOORS if within(module, line)), key=len)


def target(found: Import) -> str | None:
    """The module of ours that is imported; None for any other."""
    return next((module for module in reversed(found.modules) if module in MODULES), None)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_through_their_doors(room: str) -> None:
    wrong = []
    for module, file in modules_of(room).items():
        here = line_of(module)
        for found in imports_of((REPOSITORY / file).read_text(), file):
            if within(found.modules[0], "tests"):
                wrong.append(str(found))
            imported = target(found)
            if imported and line_of(imported) not in (here, *DOORS[here].split()):
                wrong.append(f"{found}: no door from {here} to {line_of(imported)}")
    assert not wrong, "\n".join(wrong)


def test_no_door_is_open_that_nobody_uses() -> None:
    used = {
        (line_of(module), line_of(imported))
        for module, file in MODULES.items()
        for found in imports_of((REPOSITORY / file).read_text(), file)
        if (imported := target(found))
    }
    assert [
        (room, door) for room, doors in DOORS.items() for door in doors.split() if (room, door) not in used
    ] == []


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Some circle in a graph; empty where there is none."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return []
        for other in sorted(edges.get(node, ())):
            if found := walk(other, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(edges) if (found := walk(node, []))), [])


def test_a_circle_is_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    """Late imports count; those for types alone do not."""
    edges = {
        module: {
            other
            for found in imports_of((REPOSITORY / file).read_text(), file)
            if not found.typing_only and (other := target(found)) and other != module
        }
        for module, file in MODULES.items()
    }
    assert circle(edges) == []


def test_the_table_of_doors_names_what_exists_and_has_no_circle() -> None:
    assert [line for line in DOORS if line not in MODULES] == []
    names = {name for doors in DOORS.values() for name in doors.split()}
    assert sorted(names - DOORS.keys()) == []
    fronts = {
        "sandbox",
        "tasks",
        "analysis",
    }  # what is in a room's own folder: both below and above its inner rooms
    assert (
        circle({line: set(doors.split()) - fronts for line, doors in DOORS.items() if line not in fronts})
        == []
    )


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
