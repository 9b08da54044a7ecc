"""The docker backend's images: the two ways of building the usual one, and one with more packages."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import sandbox
from sandbox import image
from sandbox.backends.engine import connect
from sandbox.errors import ImageError, NoBackendError
from sandbox.image import extra
from sandbox.pool.opening import open_backend, open_image
from sandbox.pool.pool import Pool
from sandbox.protocol import Job, Judge, Limits, Status
from tests.bench.daemons import daemon_process
from tests.sandbox.conftest import BACKENDS, LIMITS, open_or_skip, run_calls

AMPLE = replace(
    LIMITS, cpu_seconds=20.0, total_cpu_seconds=40.0, wall_seconds=90.0
)  # pandas is slow to import
PROGRAM = "def f(x):\n    import more_itertools\n    return list(more_itertools.collapse(x))\n"


def test_both_ways_of_building_the_image_take_the_same_debian() -> None:
    """From the Dockerfile's base where a registry answers, by debootstrap elsewhere."""
    dockerfile = Path(image.__file__).with_name("Dockerfile").read_text()
    (base,) = [line for line in dockerfile.splitlines() if line.startswith("ARG BASE=")]
    assert base.endswith(f"-{image._SUITE}")


USUAL = """
import numpy, pandas, sortedcontainers

def f(values):
    frame = pandas.DataFrame({"v": numpy.array(values) * 2})
    return list(sortedcontainers.SortedList(frame["v"].tolist()))
"""
RUNNERS = """
import numpy, pandas, pytest, pytest_asyncio, pytest_timeout, sortedcontainers

def test_it():
    import solution
    assert solution.f([3, 1]) == [2, 6]
"""


def test_programs_and_tests_find_the_usual_packages(pool: Pool) -> None:
    outcome = run_calls(pool, USUAL, [3, 1], limits=AMPLE)
    assert outcome.tests[0].value == [2, 6], outcome.error
    judged = pool.run(Job(id="t", program=USUAL, work=Judge(kind="pytest", test=RUNNERS), limits=AMPLE))
    assert judged.passed, judged


@pytest.fixture(scope="module")
def with_packages() -> str:
    """The id of a program image with one package more, fetched from PyPI."""
    try:
        with closing(connect()) as client:
            return extra.ensure(client, ["more-itertools"])["program"]
    except (NoBackendError, ImageError) as error:
        pytest.skip(f"no image with packages can be built here: {error}")


@pytest.mark.docker
def test_programs_find_the_packages_of_their_image(with_packages: str) -> None:
    with Pool(open_image(with_packages, Limits()), 1) as pool:
        outcome = run_calls(pool, PROGRAM, [[1], 2])
        assert outcome.tests[0].value == [1, 2]
        assert outcome.image == with_packages
    with sandbox.open_pool(1, "docker") as usual:
        outcome = run_calls(usual, PROGRAM, [1])
        assert outcome.status is Status.EXCEPTION
        assert outcome.error is not None and outcome.error.type == "ModuleNotFoundError"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_user_says_what_programs_and_tests_may_import(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = open_or_skip(backend)
    ours.close()
    try:
        required = open_backend(backend, LIMITS, requirements=["more-itertools"])
    except NoBackendError as error:
        pytest.skip(f"no package can be fetched here: {error}")
    # Once it is there, nobody asks the registry again.
    monkeypatch.setattr("sandbox.backends.packages.fetch", lambda *anything: pytest.fail("fetched again"))
    open_backend(backend, LIMITS, requirements=["more-itertools"]).close()
    with Pool(required, 1, limits=LIMITS) as pool:
        outcome = run_calls(pool, PROGRAM, [[1], 2])
        assert outcome.tests[0].value == [1, 2], outcome
        assert outcome.image != ours.image and "sha256:" in outcome.image
        test = "from more_itertools import first\nassert first(f([[1], 2])) == 1\n"
        judged = pool.run(Job(id="t", program=PROGRAM, work=Judge(kind="script", test=test), limits=LIMITS))
        assert judged.passed, judged


@pytest.mark.docker
def test_a_daemon_runs_a_job_in_the_image_that_it_names_if_that_is_allowed(with_packages: str) -> None:
    job = {"program": PROGRAM, "work": {"kind": "calls", "calls": [{"function": "f", "args": [[[1], 2]]}]}}
    with daemon_process("--backend", "docker", "--slots", "1", "--image", with_packages) as daemon:

        def asked(named: str | None) -> httpx.Response:
            body = {"jobs": [job | ({"image": named} if named else {})]}
            return httpx.post(f"{daemon.url}/v1/run", json=body, timeout=60)

        def outcome(named: str | None) -> Any:
            return json.loads(asked(named).text.splitlines()[0])["outcome"]

        assert set(httpx.get(f"{daemon.url}/v1/info").json()["images"]) >= {with_packages}
        assert outcome(with_packages)["tests"][0]["value"] == [1, 2]
        assert outcome(None)["error"]["type"] == "ModuleNotFoundError"
        refused = asked("sha256:" + "0" * 64)
        assert refused.status_code == 422 and "image" in refused.text


@pytest.mark.docker
def test_a_package_that_is_not_there_and_an_image_that_is_not_there_are_said_by_name(
    with_packages: str,
) -> None:
    with closing(connect()) as client, pytest.raises(ImageError, match="coderl-no-such-package"):
        extra.ensure(client, ["coderl-no-such-package==9.9"])
    with pytest.raises(ImageError, match="the engine has no image sha256:0000"):
        open_image("sha256:" + "0" * 64, Limits())
