"""Pools on every backend. One that cannot run here is skipped by name; CODERL_REQUIRE_DOCKER=1 makes it a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sandbox.errors import NoBackendError
from sandbox.pool import Pool
from sandbox.probe import open_backend
from sandbox.protocol import MIB, Call, Calls, Job, Limits, Outcome, Stdio

BACKENDS = ("docker", "bubblewrap")
LIMITS = Limits(
    cpu_seconds=2.0, total_cpu_seconds=6.0, wall_seconds=4.0, memory_bytes=192 * MIB, scratch_bytes=32 * MIB
)


def open_or_skip(name: str, slots: int = 1) -> Pool:
    try:
        return Pool(open_backend(name, LIMITS), slots, limits=LIMITS)
    except NoBackendError as error:
        if name == "docker" and os.environ.get("CODERL_REQUIRE_DOCKER") == "1":
            pytest.fail(f"CODERL_REQUIRE_DOCKER=1, but: {error}")
        pytest.skip(f"{name} cannot run here: {error}")


@pytest.fixture(scope="session", params=BACKENDS)
def shared_pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    """One slot, so that each program runs in the cell that the one before it used."""
    with open_or_skip(request.param) as pool:
        yield pool


@pytest.fixture
def pool(shared_pool: Pool) -> Iterator[Pool]:
    """The shared pool; whatever the test did there, the next program must be unaffected."""
    yield shared_pool
    after = run_calls(shared_pool, "def f(x):\n    import os\n    return x + 1, os.listdir('.')\n", 1)
    assert [test.value for test in after.tests] == [(2, [])], after
    assert after.attempts == 1, after.detail


def run_calls(pool: Pool, program: str, *arguments: object, limits: Limits = LIMITS) -> Outcome:
    """`f(argument)` for each argument."""
    calls = tuple(Call("f", (argument,)) for argument in arguments)
    return pool.run(Job(id="test", program=program, work=Calls(calls), limits=limits))


def run_stdio(pool: Pool, program: str, *inputs: str, limits: Limits = LIMITS) -> Outcome:
    return pool.run(Job(id="test", program=program, work=Stdio(inputs), limits=limits))
