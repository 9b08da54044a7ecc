"""Pools on every backend. One that cannot run here is skipped by name; CODERL_REQUIRE_DOCKER=1 makes it a failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from sandbox.errors import NoBackendError
from sandbox.pool.opening import open_backend
from sandbox.pool.pool import Pool
from sandbox.protocol import MIB, Call, Calls, Job, Limits, Outcome, Stdio

BACKENDS = ("docker", "bubblewrap", "confined")
# Where a module asks for these (`ON = INTERPRETERS`): what judge and program do with values and with their one wire
# is the same on `confined` as on bubblewrap, whose Python it runs. test_judge.py and test_environment.py run on all.
INTERPRETERS = ("docker", "bubblewrap")
LIMITS = Limits(
    cpu_seconds=2.0, total_cpu_seconds=6.0, wall_seconds=4.0, memory_bytes=192 * MIB, scratch_bytes=32 * MIB
)


# What the suite asks of every backend and `confined` cannot give, with the reason; test_confined.py has its own.
_NO_CHILDREN = "confined: a program is one process, it can make no others"
_NO_PROC = "confined: programs have no /proc"
CONFINED_CANNOT = {
    "test_cpu_time_of_children_counts": _NO_CHILDREN,
    "test_memory_spread_over_many_processes": _NO_CHILDREN,
    "test_a_fork_bomb_stops_at_the_process_limit": _NO_CHILDREN,
    "test_daemons_are_gone": _NO_CHILDREN,
    "test_a_program_that_forks_still_gets": _NO_CHILDREN,
    "test_multiprocessing_and_threads_work_within_the_process_limit": _NO_CHILDREN,
    "test_a_full_scratch_is_the_programs_own_error_and_gone_afterwards": "confined: a full scratch ends the program",
    "test_files_are_gone[confined-closed folders": "confined: programs cannot chmod",
    "test_files_are_gone[confined-deep": "confined: a tree too deep to be counted ends the program",
    "test_files_are_gone[confined-socket": "confined: programs cannot bind sockets",
    **{
        f"test_files_are_gone[confined-{kind}-/dev/shm": "confined: one writable folder"
        for kind in ("file", "links", "names")
    },
    "test_right_programs_pass[confined-files": "confined: program and test share no files",
    "test_nowhere_else_can_be_written": "confined: programs cannot list folders, so this would try nothing",
    "test_no_privilege_is_left_or_gained": _NO_PROC,
    "test_secrets_of_other_payloads_are_not_in_a_programs_memory": _NO_PROC,
    "test_program_and_judge_share_nothing": _NO_PROC,
    "test_a_test_is_nowhere_in_the_programs_memory": _NO_PROC,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "confined" not in getattr(item, "callspec", item).__dict__.get("params", {}).values():
            continue
        reasons = [why for what, why in CONFINED_CANNOT.items() if item.name.startswith(what)]
        if reasons:
            item.add_marker(pytest.mark.skip(reason=reasons[0]))


def open_or_skip(name: str, slots: int = 1, limits: Limits = LIMITS) -> Pool:
    try:
        return Pool(open_backend(name, limits), slots, limits=limits)
    except NoBackendError as error:
        if name == "docker" and os.environ.get("CODERL_REQUIRE_DOCKER") == "1":
            pytest.fail(f"CODERL_REQUIRE_DOCKER=1, but: {error}")
        pytest.skip(f"{name} cannot run here: {error}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shared_pool" in metafunc.fixturenames:
        backends = getattr(metafunc.module, "ON", BACKENDS)
        metafunc.parametrize("shared_pool", backends, indirect=True, scope="session")


@pytest.fixture(scope="session")
def shared_pools() -> Iterator[Callable[[str], Pool]]:
    """A pool on a backend, opened once. One slot, so that each program runs in the cell that the one before it used."""
    with ExitStack() as opened:
        yield cache(lambda backend: opened.enter_context(open_or_skip(backend)))


@pytest.fixture(scope="session")
def shared_pool(request: pytest.FixtureRequest, shared_pools: Callable[[str], Pool]) -> Pool:
    return shared_pools(request.param)


@pytest.fixture(scope="session")
def quick_pool(shared_pools: Callable[[str], Pool]) -> Pool:
    """On bubblewrap: for what goes on within judge and program alone."""
    return shared_pools("bubblewrap")


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
