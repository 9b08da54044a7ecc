"""Bubblewrap as an ordinary user runs it: supervisor and program have one user id. (Run by root: the whole suite.)"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.errors import NoBackendError
from sandbox.pool.opening import open_backend
from sandbox.protocol import Limits
from tests.sandbox.ordinary import OrdinaryUser, ordinary_user
from tests.sandbox.test_attacks import CLASSES, LEFT, PRELUDE, function


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrdinaryUser]:
    try:
        open_backend("bubblewrap", Limits()).close()
    except NoBackendError as error:
        pytest.skip(f"no bubblewrap here: {error}")
    with ordinary_user(tmp_path_factory.mktemp("user"), "bubblewrap") as user:
        yield user


def test_the_supervisor_is_out_of_a_programs_reach(user: OrdinaryUser) -> None:
    outcome = user.call(function(CLASSES["supervisor: signals, its limits, its scheduling, its memory"]))
    (test,) = outcome.tests
    assert isinstance(test.value, list), outcome
    # Signals can be sent, but none from inside reaches pid 1.
    assert [each for each in test.value if not each.startswith("signal")] == []
    assert outcome.attempts == 1


def test_the_next_program_has_the_limits_and_scheduling_that_this_one_had(user: OrdinaryUser) -> None:
    leave, look, unaffected = LEFT["limits and scheduling of the supervisor"]
    user.call(f"{PRELUDE}\ndef f(x):\n    {leave}\n")
    after = user.call(f"{PRELUDE}\ndef f(x):\n    {look}\n    return found\n")
    assert ([test.value for test in after.tests], after.attempts) == ([unaffected], 1), after


OWN = """
import os, resource
def f(x):
    for pid in (0, os.getpid()):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (32, 32))
        os.setpriority(os.PRIO_PROCESS, pid, 19)
        os.sched_setaffinity(pid, [min(os.sched_getaffinity(pid))])
        os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))
    os.setpriority(os.PRIO_PGRP, 0, 19)
    return os.nice(1), resource.getrlimit(resource.RLIMIT_NOFILE)
"""


def test_a_program_may_limit_and_renice_itself(user: OrdinaryUser) -> None:
    assert user.value(OWN) == (19, (32, 32))
