"""`coderl sandbox run` and `doctor`."""

from __future__ import annotations

import gc
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import ReadTimeout
from typer.testing import CliRunner

from coderl.cli.sandbox_commands import app
from sandbox.backends import packages
from sandbox.backends.docker import DockerBackend
from sandbox.errors import BackendError, CapacityError, ImageError, InputError, NoBackendError
from sandbox.pool.opening import OPENERS, open_backend
from sandbox.protocol import MIB, Limits
from sandbox.tools import doctor
from sandbox.tools.run_file import run_file


@pytest.fixture(scope="module")
def backend() -> str:
    try:
        open_backend("bubblewrap", Limits()).close()
    except NoBackendError:
        return "auto"
    return "bubblewrap"


@pytest.mark.parametrize(
    ("program", "options", "status", "out", "err"),
    [
        ("print(input()[::-1])\n", [], 0, "cba\n", ""),
        (
            "def f():\n    return 1 / 0\nf()\n",
            [],
            1,
            "",
            "line 2, in f\n    return 1 / 0\nZeroDivisionError: division",
        ),
        ("while True: pass\n", ["--cpu-seconds", "0.2"], 124, "", "[sandbox: cpu_timeout]"),
    ],
)
def test_run_is_like_python(
    tmp_path: Path, backend: str, program: str, options: list[str], status: int, out: str, err: str
) -> None:
    file = tmp_path / "program.py"
    file.write_text(program)
    ran = CliRunner().invoke(app, ["run", str(file), "--backend", backend, *options], input="abc\n")
    assert (ran.exit_code, ran.stdout) == (status, out), ran.output
    assert err in ran.stderr


@pytest.mark.parametrize(
    ("option", "asked", "most"),
    [
        ("--cpu-seconds", "60.5", "60"),
        ("--cpu-seconds", "inf", "60"),
        ("--wall-seconds", "1e9", "300"),
        ("--memory-mib", "4097", "4096"),
    ],
)
def test_more_than_the_ceiling_is_one_clear_error(tmp_path: Path, option: str, asked: str, most: str) -> None:
    file = tmp_path / "program.py"
    file.write_text("print(1)\n")
    ran = CliRunner().invoke(app, ["run", str(file), option, asked], env={"TERM": "dumb", "COLUMNS": "200"})
    assert ran.exit_code == 2 and not ran.stdout, ran.output
    assert (
        option in ran.stderr and f"it may be {most} at most" in ran.stderr and "Traceback" not in ran.stderr
    )


def test_more_slots_than_the_machine_holds_are_one_clear_error(backend: str) -> None:
    ran = CliRunner().invoke(
        app, ["serve", "--slots", "100000", "--host", "127.0.0.1", "--port", "0", "--backend", backend]
    )
    assert isinstance(ran.exception, CapacityError)
    assert re.match(
        r"100,000 slots are more than this machine can hold, which is \d+: it has \d+ cores .* GiB of memory",
        str(ran.exception),
    )


def test_run_says_what_cannot_be_read(tmp_path: Path, backend: str) -> None:
    file = tmp_path / "program.py"
    file.write_text("print(input())\n")
    ran = CliRunner().invoke(app, ["run", str(file), "--backend", backend], input=b"caf\xe9\n")
    assert isinstance(ran.exception, InputError)
    assert "standard input is not UTF-8 text (byte 3 is 0xe9)" in str(ran.exception)
    unreadable = Path("/proc/self/mem")  # may be opened, but not read from its start
    with pytest.raises(InputError, match=r"/proc/self/mem cannot be read: .*Name a program"):
        run_file(unreadable, backend, Limits())


class FailingEngine:
    """An engine that answers a ping, and then no more."""

    def ping(self) -> bool:
        return True

    def info(self) -> dict[str, Any]:
        raise ReadTimeout("Read timed out. (read timeout=60)")

    @property
    def images(self) -> Any:
        raise DockerException("the engine's disk is full")

    def close(self) -> None:
        return


@pytest.fixture
def failing_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("docker.from_env", lambda **options: FailingEngine())


def test_what_an_engine_fails_at_is_one_error_with_its_remedy(failing_engine: None, backend: str) -> None:
    with pytest.raises(
        NoBackendError, match="docker: the Docker engine answers, but failed: Read timed out.* See its log"
    ):
        open_backend("docker", Limits())
    with pytest.raises(BackendError, match="Read timed out"):
        DockerBackend({})
    ran = CliRunner().invoke(app, ["image"])
    assert isinstance(ran.exception, BackendError) and "disk is full" in str(ran.exception)
    chosen = open_backend("auto", Limits())
    chosen.close()
    assert chosen.name != "docker"


def told(what: str) -> dict[str, str]:
    """The doctor's failed checks that `what` is about, with their remedies."""
    lines = CliRunner().invoke(app, ["doctor"]).stdout.splitlines()
    failed = {
        line[5:]: after for line, after in zip(lines, lines[1:], strict=False) if line.startswith("NO ")
    }
    assert all(after.startswith("     remedy: ") and len(after) > 20 for after in failed.values()), lines
    return {line: after.partition(": ")[2] for line, after in failed.items() if line.startswith(what)}


@pytest.fixture
def no_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OPENERS", {})


def test_the_doctor_tells_of_an_engine_that_fails(failing_engine: None, no_backends: None) -> None:
    ((line, remedy),) = told("docker engine").items()
    assert "Read timed out" in line and "journalctl" in remedy


def test_the_doctor_tells_of_missing_images_and_a_wrong_clock(
    monkeypatch: pytest.MonkeyPatch, no_backends: None
) -> None:
    class BareEngine(FailingEngine):
        def info(self) -> dict[str, Any]:
            return {
                **dict.fromkeys(doctor._ENGINE_LIMITS, True),
                "ServerVersion": "1",
                "DefaultRuntime": "runc",
                "DockerRootDir": "/nowhere",
                "SystemTime": "2020-01-01T00:00:00.123456789Z",
                "SwapLimit": False,
            }

        @property
        def images(self) -> Any:
            def get(name: str) -> None:
                raise ImageNotFound(name)

            return SimpleNamespace(get=get)

    monkeypatch.setattr("docker.from_env", lambda **options: BareEngine())
    assert "coderl sandbox image" in told("docker images: not built")["docker images: not built"]
    assert "swapaccount" in "".join(told("engine's limits: cannot enforce SwapLimit").values())
    assert "chrony" in "".join(told("clock: the engine's is ").values())


def test_the_doctor_tells_of_missing_cgroups_and_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, no_backends: None, failing_engine: None, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "_CGROUPS", tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=7 * MIB))
    assert "mount -t cgroup2" in told("control groups")["control groups: none are mounted"]
    ((line, remedy),) = told("disk of the temporary folder").items()
    assert line.endswith(": 7 MiB free") and "Free 1024 MiB" in remedy

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    assert "No usable temporary directory" in "".join(told("disk of the temporary folder"))


def test_the_doctor_tells_of_a_backend_that_finds_no_room(
    monkeypatch: pytest.MonkeyPatch, failing_engine: None, backend: str
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    if backend == "auto":
        pytest.skip("no bubblewrap here")
    monkeypatch.setattr(doctor, "OPENERS", {backend: OPENERS[backend]})
    monkeypatch.setattr("shutil.copytree", full)
    assert "No space left on device" in "".join(told(f"backend {backend}"))
    (check,) = doctor._trials(backend)
    assert not check.good and "No space left on device" in check.found and check.remedy


def test_the_benchmark_ends_with_its_figures(backend: str) -> None:
    ran = CliRunner().invoke(app, ["bench", "--backend", backend, "--slots", "1", "--programs", "10"])
    assert ran.exit_code == 0, ran.output
    figures = json.loads(ran.stdout.splitlines()[-1])
    assert figures["slots"] == 1
    rates = [
        figures[f"{kind}_per_second"] for kind in ("calls", "judge", "stdio_8", "plain_unisolated_python")
    ]
    assert min(rates) > 0


@pytest.mark.filterwarnings("ignore:unclosed <socket")  # the docker SDK's, where it cannot connect
def test_the_doctor_names_a_remedy_for_each_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setattr(doctor, "OPENERS", {"docker": OPENERS["docker"]})
    checks = {check.name: check for check in doctor.examine()}
    bad = {name for name, check in checks.items() if not check.good}
    assert bad == {"docker engine", "backend docker", "a backend works"}
    assert all(checks[name].remedy for name in bad)
    gc.collect()


def test_the_doctor_does_not_believe_a_limit_that_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setitem(
        doctor._TRIALS, "memory", (*doctor._TRIALS["no network"][:1], *doctor._TRIALS["memory"][1:])
    )
    checks = {check.name: check for check in doctor._trials(backend)}
    assert [name for name, check in checks.items() if not check.good] == [f"{backend}: memory"]
    assert "ends with exception" in checks[f"{backend}: memory"].found


@pytest.mark.parametrize("package", ["", "-r requirements.txt", "--index-url=x"])
def test_required_packages_are_no_options_of_pip(package: str) -> None:
    with pytest.raises(ImageError, match="not a package"):
        packages.checked([package])
