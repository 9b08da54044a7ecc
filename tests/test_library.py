"""coderl as a library, and its command among other packages of the same names."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
from typer.testing import CliRunner

import coderl
import coderl.config.objective
import sandbox
import sandbox.client.asynchronous
import sandbox.client.synchronous
import sandbox.errors
import sandbox.protocol
import tasks
import tasks.errors
import tasks.grading.grader
import tasks.grading.rewards
import tasks.native
import tasks.types
from coderl.cli import app

REPOSITORY = Path(__file__).resolve().parent.parent
ROW = '{"id": "a", "prompt": "p", "tests": {"call": [{"function": "f", "expected": 1}]}}\n'


def test_the_version_is_the_package_s() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"coderl {coderl.__version__}\n"


def test_files_are_named_by_text_or_path(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(ROW)
    (task,) = tasks.load(file)
    tasks.native.dump([task], str(tmp_path / "again.jsonl"))
    again = tmp_path / "again.jsonl"
    assert tasks.load(str(file)) == tasks.native.load(str(file)) == tasks.native.load(again) == [task]


def test_the_rooms_say_that_they_are_typed() -> None:
    assert all(
        (REPOSITORY / room / "py.typed").is_file() for room in ("analysis", "coderl", "sandbox", "tasks")
    )


PUBLIC = [
    sandbox,
    sandbox.client.asynchronous,
    sandbox.client.synchronous,
    sandbox.protocol,
    sandbox.errors,
    tasks,
    tasks.errors,
    tasks.types,
    tasks.native,
    tasks.grading.grader,
    tasks.grading.rewards,
    coderl.config.objective,
]


def undocumented(module: ModuleType) -> list[str]:
    """Public functions, classes and methods that are defined in `module` and say nothing of themselves."""
    missing = []
    for name, value in vars(module).items():
        here = getattr(value, "__module__", None) == module.__name__
        if name.startswith("_") or not here or not isinstance(value, (type, FunctionType)):
            continue
        if not value.__doc__ or value.__doc__.startswith(f"{name}("):  # what dataclasses make up
            missing.append(name)
        methods = vars(value).items() if isinstance(value, type) else ()
        missing += [
            f"{name}.{inner}"
            for inner, method in methods
            if not inner.startswith("_") and isinstance(method, FunctionType) and not inspect.getdoc(method)
        ]
    return missing


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_every_public_name_is_documented(module: ModuleType) -> None:
    assert module.__doc__ and not undocumented(module)


def test_another_package_of_the_same_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("")
    ran = subprocess.run(
        [sys.executable, "-P", "-c", "from coderl.cli import main; main()", "--version"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 1 and ran.stdout == ""
    assert f"error: `import tasks` finds {tmp_path / 'tasks.py'} before coderl's own" in ran.stderr
