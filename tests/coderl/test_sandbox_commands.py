"""`coderl sandbox run` and `doctor`."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coderl.cli.sandbox_commands import app
from sandbox import doctor
from sandbox.errors import ImageError, NoBackendError
from sandbox.image import extra
from sandbox.probe import OPENERS, open_backend
from sandbox.protocol import Limits


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
def test_packages_of_an_image_are_no_options_of_pip(package: str) -> None:
    with pytest.raises(ImageError, match="not a package"):
        extra.build(None, [package])
