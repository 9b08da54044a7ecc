"""`make setup` where things are missing, broken or interrupted.

The scripts run for real, in a copy of their folder whose lock names three tiny packages made here, so that no network
is needed; what they look for on the machine is put in front of them as small stand-in commands.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from sandbox.inside.supervisor import landlock

REPOSITORY = Path(__file__).resolve().parent.parent

# Builds the copy's own package, so that set-up's last step needs no setuptools.
BACKEND = """
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "coderl-1-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("coderl-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: coderl\\nVersion: 1\\n")
        wheel.writestr("coderl-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("coderl-1.dist-info/RECORD", "")
    return name
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def write_wheel(folder: Path, name: str, version: str, source: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", source)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    shutil.copytree(REPOSITORY / "scripts", folder / "scripts")
    (folder / "requirements").mkdir()
    (folder / "requirements" / "cpu.lock.txt").write_text(
        "torch==2.13.0\ntransformers==5.19.0\nvllm==0.32.0\n"
    )
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    version = "class version: cuda = None\n__version__ = '2.13.0'\n"
    write_wheel(wheels, "torch", "2.13.0", version)
    write_wheel(wheels, "transformers", "5.19.0", "")
    write_wheel(wheels, "vllm", "0.32.0", "LLM = None\n")
    return folder


def environment(clone: Path, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    wheels = str(clone.parent / "wheels")
    # The engine that this names is never tried: set-up leaves an engine elsewhere to the sandbox.
    fixed = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels}
    return kept | fixed | {"DOCKER_HOST": "tcp://127.0.0.1:1", "PYTHON": sys.executable} | changes


def set_up(clone: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in environment(clone, **changes).items() if value}
    command = ["/bin/sh", "scripts/setup.sh"]
    return subprocess.run(command, cwd=clone, env=variables, capture_output=True, text=True, timeout=200)


def stand_ins(
    folder: Path, commands: dict[str, str], real: tuple[str, ...] = ("sh", "dirname", "uname")
) -> str:
    """A PATH that has these shell scripts, and of the real commands only those named."""
    folder.mkdir()
    for name in real:
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, body in commands.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.slow
def test_it_makes_an_environment_once(clone: Path) -> None:
    first = set_up(clone)
    assert first.returncode == 0, first.stderr
    assert "torch 2.13.0 for CPU" in first.stderr
    python = clone / ".venv" / "bin" / "python"
    inode = python.parent.stat().st_ino
    second = set_up(clone)
    assert (second.returncode, second.stderr) == (0, "")
    assert python.parent.stat().st_ino == inode, "made again without need"

    write_wheel(clone.parent / "wheels", "transformers", "5.19.1", "")
    lock = clone / "requirements" / "cpu.lock.txt"
    lock.write_text(lock.read_text().replace("5.19.0", "5.19.1"))
    third = set_up(clone)
    assert third.returncode == 0 and "making it again" in third.stderr
    listed = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True).stdout
    assert "transformers==5.19.1" in listed


@pytest.mark.slow
def test_a_killed_set_up_is_done_again(clone: Path) -> None:
    command = ["/bin/sh", "scripts/setup.sh"]
    state = clone / ".venv" / "coderl-setup.txt"
    with subprocess.Popen(
        command, cwd=clone, env=environment(clone), stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (clone / ".venv" / "bin" / "python").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    assert state.read_text() == "unfinished\n"
    again = set_up(clone)
    assert again.returncode == 0, again.stderr
    assert "unfinished" in again.stderr and state.read_text() != "unfinished\n"


def test_an_environment_of_the_users_own_is_left_alone(clone: Path) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / "theirs").touch()
    ran = set_up(clone)
    assert ran.returncode != 0
    assert "was not made by this set-up" in ran.stderr and "Remedy" in ran.stderr
    assert [path.name for path in (clone / ".venv").iterdir()] == ["theirs"]


def test_a_package_that_cannot_be_had_is_named(clone: Path) -> None:
    (clone.parent / "wheels" / "transformers-5.19.0-py3-none-any.whl").unlink()
    ran = set_up(clone)
    assert ran.returncode != 0
    assert "No matching distribution found for transformers==5.19.0" in ran.stderr
    assert "make setup PYTHON=" in ran.stderr
    assert (clone / ".venv" / "coderl-setup.txt").read_text() == "unfinished\n"


def test_an_environment_that_does_not_load_is_not_called_ready(clone: Path) -> None:
    write_wheel(clone.parent / "wheels", "transformers", "5.19.0", "raise OSError('libcudart is missing')")
    ran = set_up(clone)
    assert ran.returncode != 0 and "libcudart is missing" in ran.stderr and "is ready" not in ran.stderr


def test_too_small_a_disk_is_said_with_a_remedy(tmp_path: Path) -> None:
    needs = runpy.run_path(str(REPOSITORY / "scripts" / "setup_environment.py"))
    needs["require_space"](tmp_path, 0.001, "Free some.")
    message = rf"{tmp_path} has [\d.]+ GiB free and 1000000.0 GiB are needed\. Free some\."
    with pytest.raises(needs["SetupError"], match=message):
        needs["require_space"](tmp_path, 1e6, "Free some.")


@pytest.mark.parametrize(
    ("uname", "message"),
    [
        ('[ "$1" = -s ] && echo Darwin || echo arm64', "this machine is Darwin on arm64"),
        ('[ "$1" = -s ] && echo Linux || echo aarch64', "this machine is Linux on aarch64"),
    ],
)
def test_another_kind_of_machine_gets_one_clear_message(clone: Path, uname: str, message: str) -> None:
    path = stand_ins(clone.parent / "bin", {"uname": uname})
    ran = set_up(clone, PATH=path)
    assert ran.returncode != 0
    assert message in ran.stderr and "Remedy" in ran.stderr
    assert not (clone / ".venv").exists()


OLD = "exit 4"  # what the script's question answers for a Python of another version


@pytest.mark.parametrize(
    ("pythons", "chosen", "message"),
    [
        ({}, "", "no CPython 3.11, 3.12 or 3.13 is on PATH"),
        ({"python3": OLD}, "", "no CPython 3.11, 3.12 or 3.13 is on PATH"),
        ({"python3": OLD}, "python3", "PYTHON=python3 is not a CPython 3.11, 3.12 or 3.13"),
        ({"python3": OLD, "python3.12": '[ "$2$3" = "" ] || case "$3" in *"%d.%d"*) echo 3.12;; *) exit 3;; esac'},
         "", "sudo apt-get install python3.12-venv"),
    ],
    ids=["none", "too old", "chosen too old", "no venv module"],
)  # fmt: skip
def test_a_python_that_does_not_fit_is_said_before_anything_is_made(
    clone: Path, pythons: dict[str, str], chosen: str, message: str
) -> None:
    path = stand_ins(clone.parent / "bin", pythons)
    ran = set_up(clone, PATH=path, PYTHON=chosen)
    assert ran.returncode != 0
    assert message in ran.stderr
    assert not (clone / ".venv").exists()


def test_a_python_that_fits_is_found_behind_one_that_does_not(clone: Path) -> None:
    """As with a version manager, whose python3.12 on PATH may only say that there is none."""
    path = stand_ins(clone.parent / "bin", {"python3": OLD, "python3.11": "exit 127"})
    (clone.parent / "bin" / "python3.13").symlink_to(getattr(sys, "_base_executable", sys.executable))
    ran = set_up(clone, PATH=path, PYTHON="")
    assert ran.returncode == 0, ran.stderr


# Isolation: no engine answers at this address.
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root's way of installing needs root")


def isolate(path: str, **changes: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": path} | NO_ENGINE | changes
    program = str(REPOSITORY / "scripts" / "setup_isolation.py")
    python = getattr(sys, "_base_executable", sys.executable)
    return subprocess.run([python, "-I", program], env=variables, capture_output=True, text=True, timeout=60)


def test_bubblewrap_that_works_is_used_as_it_is(tmp_path: Path) -> None:
    ran = isolate(stand_ins(tmp_path / "bin", {"bwrap": "exit 0", "apt-get": "touch /nonexistent/called"}))
    assert (ran.returncode, ran.stderr) == (0, "")


@needs_root
def test_bubblewrap_is_installed_where_there_is_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    log = tmp_path / "log"
    bwrap = f"printf '#!/bin/sh\\nexit 0\\n' > {folder}/bwrap; chmod +x {folder}/bwrap"
    apt = f'echo "$@" >> {log}; [ "$1" = install ] && {{ {bwrap}; }}; exit 0'
    ran = isolate(stand_ins(folder, {"apt-get": apt}, real=("sh", "chmod")))
    assert ran.returncode == 0
    assert log.read_text().splitlines() == ["update", "install -y bubblewrap"]
    said = ran.stderr.splitlines()
    assert "apt-get update && apt-get install -y bubblewrap" in said[1], "the line is shown first"
    assert said[-1].endswith("To undo: apt-get remove bubblewrap")


@needs_root
def test_an_installation_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    ran = isolate(stand_ins(tmp_path / "bin", {"apt-get": "echo 'E: Unable to locate package'; exit 100"}))
    assert "E: Unable to locate package" in ran.stderr and "Remedy" in ran.stderr
    assert "there is no engine at /nonexistent/docker.sock" in ran.stderr


def test_bubblewrap_that_is_blocked_is_not_installed_again(tmp_path: Path) -> None:
    blocked = "echo 'bwrap: No permissions to create new namespace' >&2; exit 1"
    ran = isolate(stand_ins(tmp_path / "bin", {"bwrap": blocked, "apt-get": "echo called >&2"}))
    assert "No permissions to create new namespace" in ran.stderr and "Remedy" in ran.stderr
    assert "called" not in ran.stderr


def test_without_a_package_manager_the_user_is_told_what_to_install(tmp_path: Path) -> None:
    ran = isolate(stand_ins(tmp_path / "bin", {}))
    assert "Remedy: install bubblewrap" in ran.stderr


def test_where_nothing_else_is_left_programs_are_confined_and_that_is_announced(tmp_path: Path) -> None:
    ran = isolate(stand_ins(tmp_path / "bin", {"bwrap": "echo 'bwrap: no namespaces' >&2; exit 1"}))
    confined = landlock.abi() >= landlock.LEAST_ABI
    assert ("programs will run in `confined` processes" in ran.stderr) == confined
    assert ("programs cannot be isolated here yet" in ran.stderr) != confined
    assert "Docker: there is no engine" in ran.stderr and "bwrap: no namespaces" in ran.stderr
