"""Programs of a run on sandbox daemons: spread over them, and an outage of all of them waited out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

import sandbox
from coderl.rollouts import collect
from coderl.rollouts.batch import Rollout
from coderl.rollouts.collect import Collector
from sandbox.client import DaemonError
from sandbox.daemon.routes import create_app
from sandbox.daemon.tokens import Caller, Tokens
from sandbox.errors import NoBackendError
from sandbox.protocol import Job, Outcome
from tasks import runner
from tasks.extraction.answers import Answer
from tasks.grading.grader import Grader
from tasks.grading.rewards import load_reward
from tasks.types import CallTest, Task
from tests.coderl.batches import run_config
from tests.sandbox.daemons import running
from tests.sandbox.test_client import free_port
from tests.sandbox.test_daemon import IMAGE, secret

TASK = Task(id="t", prompt="", tests=(CallTest(function="f", args=(1,), expected=2),))


@contextmanager
def daemon(port: int) -> Iterator[list[str]]:
    """A real one, and the jobs that it was given."""
    try:
        pool = sandbox.open_pool(1, "bubblewrap")
    except NoBackendError as error:
        pytest.skip(f"no bubblewrap here: {error}")
    jobs: list[str] = []
    submit = pool.submit

    def noted(job: Job, priority: int) -> Future[Outcome]:
        jobs.append(job.id)
        return submit(job, priority)

    pool.submit = noted  # type: ignore[assignment]
    with running(create_app({IMAGE: pool}, tokens=Tokens([Caller("run", secret("t"))])), port):
        yield jobs


def programs(count: int) -> list[Rollout]:
    """Every other one is right."""
    return [
        Rollout(
            TASK, n, [], [], [], "", False, 0, answer=Answer(f"def f(x):\n    return x + {n % 2}  # {n}\n")
        )
        for n in range(count)
    ]


def grade(collector: Collector, rollouts: list[Rollout]) -> list[float | None]:
    collector._grade_again(rollouts)
    collector._outlast_outage(rollouts, step=1)
    return [r.reward for r in rollouts]


def test_programs_are_graded_by_all_daemons_and_an_outage_is_waited_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODERL_TOKEN", "t")
    monkeypatch.setattr(runner, "SILENCE_SECONDS", 2.0)
    monkeypatch.setattr(collect, "OUTAGE_PAUSES", (0.1,))
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    notes: list[str] = []
    with ExitStack() as later:
        with daemon(ports[0]) as first, daemon(ports[1]) as second:
            opened = runner.open_runner(urls=urls, slots=1, backend="auto")
            later.enter_context(opened)
            unused: Any = None
            config = run_config(sandbox__outage_seconds=60)
            collector = Collector(config, unused, unused, Grader(opened), load_reward("all_passed"))
            assert grade(collector, programs(64)) == 32 * [0.0, 1.0]
            assert len(first) + len(second) >= 64 and first and second

        def note(text: str) -> None:
            notes.append(text)
            if len(notes) == 2:
                later.enter_context(daemon(ports[0]))

        collector.note = note
        assert grade(collector, programs(8)) == 4 * [0.0, 1.0]
    assert len(notes) >= 2 and "no daemon answered in time" in notes[0]


def test_a_daemon_that_refuses_the_token_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODERL_TOKEN", raising=False)
    port = free_port()
    with daemon(port), pytest.raises(DaemonError, match="asks for a token.* CODERL_TOKEN"):
        runner.open_runner(urls=[f"http://127.0.0.1:{port}"], slots=1, backend="auto")
