"""What a user gets from `pip install`: the built wheel, in an environment of its own, used from a folder that holds
files named like our packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from coderl.cli import app

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = ("analysis", "coderl", "sandbox", "tasks")
JUNK = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}  # what tools leave in folders
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@dataclass(frozen=True)
class Installed:
    command: Path  # the `coderl` script
    folder: Path  # where it is run: holds a tasks.py that fails when imported

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(self.command), *arguments)

    def python(self, program: str) -> subprocess.CompletedProcess[str]:
        """-P as in the installed script: the working folder is not on the path."""
        return self._run(str(self.command.parent / "python"), "-P", "-c", program)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment | {"COLUMNS": "100", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
        )


def files_of_the_rooms() -> set[str]:
    return {
        path.relative_to(REPOSITORY).as_posix()
        for room in ROOMS
        for path in (REPOSITORY / room).rglob("*")
        if path.is_file() and not JUNK & set(path.parts)
    }


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves a build folder beside what it builds, and reads the last one."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    for name in (*ROOMS, "tests"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns(*JUNK))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", str(out)]
    built = subprocess.run([*PIP, "wheel", *options, str(source)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (file,) = out.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an empty environment, which borrows our dependencies by a path file.

    A path file adds the folder alone and does not read the path files in it, so an editable install of coderl in
    the borrowed folder stays out.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    options = ["--no-deps", "--no-index", "--quiet"]
    done = subprocess.run(
        [*PIP, "--python", str(python), "install", *options, str(wheel)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    site = folder / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    work = folder / "work"
    work.mkdir()
    for name in (*ROOMS, "tests"):
        (work / f"{name}.py").write_text(
            f"raise ImportError('the {name}.py of the working folder was imported')\n"
        )
    return Installed(folder / "venv" / "bin" / "coderl", work)


def test_the_wheel_holds_every_file_of_the_rooms_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
    assert held == files_of_the_rooms()
    assert "Requires-Python: <3.14,>=3.11" in text
    assert "License-Expression: Apache-2.0" in text


def test_the_wheel_is_what_runs(installed: Installed) -> None:
    """Else every test below would speak of the repository."""
    ran = installed.python(
        "import coderl, sandbox, tasks, analysis; print(*{m.__file__ for m in (coderl, sandbox, tasks, analysis)})"
    )
    assert ran.returncode == 0, ran.stderr
    assert all(str(installed.command.parent.parent) in file for file in ran.stdout.split()), ran.stdout


COMMANDS = list(commands(typer.main.get_command(app)))
HELP = """
import json
from typer.testing import CliRunner
from coderl.cli import app
said = [CliRunner().invoke(app, [*path, "--help"], prog_name="coderl") for path in COMMANDS]
print(json.dumps([[each.exit_code, each.output] for each in said]))
"""


@pytest.fixture(scope="module")
def helps(installed: Installed) -> dict[tuple[str, ...], tuple[int, str]]:
    """The exit status and output of each command's --help, all asked for in one process."""
    ran = installed.python(f"COMMANDS = {COMMANDS!r}{HELP}")
    assert ran.returncode == 0, ran.stderr
    return dict(zip(COMMANDS, json.loads(ran.stdout), strict=True))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "coderl")
def test_every_command_explains_itself(
    helps: dict[tuple[str, ...], tuple[int, str]], path: tuple[str, ...]
) -> None:
    status, output = helps[path]
    assert status == 0, output
    assert " ".join(("coderl", *path)) in output


def test_the_known_datasets_are_listed(installed: Installed) -> None:
    ran = installed.run("tasks", "list")
    assert ran.returncode == 0, ran.stderr
    assert "humaneval" in ran.stdout and "mbpp" in ran.stdout


def test_a_training_configuration_is_resolved(installed: Installed) -> None:
    small = ["train.prompts_per_step=2", "train.samples_per_prompt=2", "data.evaluation_count=4"]
    small += ["data.train_count=4", "warmup.hidden_size=64", "warmup.layers=2", "sampler.max_tokens=8"]
    ran = installed.run("train", "--dry-run", "train.steps=7", *small)
    assert ran.returncode == 0, ran.stderr
    assert tomllib.loads(ran.stdout)["train"]["steps"] == 7


def test_completions_are_graded_in_the_sandbox(installed: Installed) -> None:
    """The cell's own files, and the image's, travel in the wheel."""
    task = {
        "id": "double",
        "prompt": "Write a function double(x).",
        "entry_point": "double",
        "tests": {"call": [{"args": [4], "expected": 8}]},
    }
    (installed.folder / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    rows = [
        {"task_id": "double", "completion": f"```python\ndef double(x):\n    return x {operator} 2\n```"}
        for operator in "*-"
    ]
    (installed.folder / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ("--tasks", "tasks.jsonl", "--completions", "completions.jsonl", "--out", "verdicts.jsonl")
    ran = installed.run("grade", *arguments)
    if "no sandbox backend works here" in ran.stderr:
        pytest.skip(ran.stderr)
    assert ran.returncode == 0, ran.stderr
    verdicts = [json.loads(line) for line in (installed.folder / "verdicts.jsonl").read_text().splitlines()]
    assert [verdict["passed"] for verdict in verdicts] == [True, False]
