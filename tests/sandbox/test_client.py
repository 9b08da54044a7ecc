"""The client: what it does when daemons are busy, gone, wrong or back; and that it is a runner like any other."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sandbox
from sandbox.client import AsyncClient, DaemonError, asynchronous
from sandbox.daemon.routes import Settings, create_app
from sandbox.daemon.schedule import expired
from sandbox.daemon.tokens import Caller, Tokens
from sandbox.errors import PoolClosedError
from sandbox.inside.values.codec import Opaque
from sandbox.job_json import job_to_json, outcome_from_json, outcome_to_json
from sandbox.pool.pool import Pool
from sandbox.protocol import (
    MIB,
    Call,
    Calls,
    ErrorInfo,
    Frame,
    Job,
    Judge,
    Limits,
    Outcome,
    Status,
    Stdio,
    TestOutcome,
)
from tests.sandbox.conftest import LIMITS
from tests.sandbox.daemons import FakePool, call, running, until
from tests.sandbox.test_daemon import IMAGE, secret

Values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=Values, text=st.text(), number=st.floats(0, 1e6), status=st.sampled_from(Status))
def test_outcomes_cross_unchanged(value: object, text: str, number: float, status: Status) -> None:
    error = ErrorInfo(type="T", message=text, phase="call", frames=(Frame(3, text, text),))
    test = TestOutcome(status=status, name=text, value=value, stdout=text, passed=False, error=error)
    outcome = Outcome(
        job_id="j",
        status=status,
        tests=(test,),
        passed=False,
        error=error,
        cpu_seconds=number,
        detail=text,
        unenforced=(text,),
    )
    assert outcome_from_json("j", outcome_to_json(outcome)) == outcome


def test_opaque_values_stay_opaque() -> None:
    outcome = Outcome(
        job_id="j", status=Status.OK, tests=(TestOutcome(status=Status.OK, value=Opaque("T", "<T>")),)
    )
    value = outcome_from_json("j", outcome_to_json(outcome)).tests[0].value
    assert isinstance(value, Opaque) and (value.type_name, value.text) == ("T", "<T>")


@pytest.mark.parametrize(
    "job",
    [
        replace(call("j", "p", (1, {2: {3}}), b"x"), limits=Limits(cpu_seconds=1.0), image=IMAGE),
        Job(id="j", program="\x00\ud800", work=Stdio(("a", "\ud800"))),
        Job(id="j", program="p", work=Judge(kind="check", test="t", entry_point="f", prompt="q")),
        Job(id="j", program="p", work=Calls((Call("A.b", (), {"k": (1,)}),))),
    ],
)
def test_jobs_cross_unchanged(job: Job) -> None:
    import json

    from sandbox.daemon.schema import JobModel

    assert JobModel.model_validate(json.loads(json.dumps(job_to_json(job)))).job() == job


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


@pytest.fixture
def url(pool: FakePool) -> Iterator[str]:
    with running(create_app({IMAGE: pool}, settings=Settings(queue=32))) as (address, _):
        yield address


def test_jobs_sent_one_by_one_all_come_back_through_a_small_queue(url: str, pool: FakePool) -> None:
    with sandbox.connect(url) as client:
        futures = [client.submit(call(f"{n}")) for n in range(200)]
        assert [future.result(30).tests[0].value for future in futures] == [f"{n}" for n in range(200)]
    assert sorted(job.id for job in pool.jobs) == sorted(f"{n}" for n in range(200))
    assert client.backend == "fake"


def test_only_the_job_that_is_wrong_fails(url: str) -> None:
    with sandbox.connect(url) as client:
        futures = [client.submit(call(f"{n}", "refuse" if n == 3 else "p")) for n in range(8)]
        with pytest.raises(ValueError, match="job 3: refused"):
            futures[3].result(30)
        assert [f.result(30).job_id for n, f in enumerate(futures) if n != 3] == list("0124567")


def test_a_cancelled_job_is_stopped_over_there(pool: FakePool, url: str) -> None:
    pool.auto = False
    with sandbox.connect(url) as client:
        future = client.submit(call("a"))
        until(lambda: pool.held)
        assert future.cancel()
        until(lambda: pool.cancelled == ["a"])


def test_closing_fails_what_is_not_answered_and_stops_it(pool: FakePool, url: str) -> None:
    pool.auto = False
    threads = threading.active_count()
    client = sandbox.connect(url)
    future = client.submit(call("a"))
    until(lambda: pool.held)
    client.close()
    client.close()
    with pytest.raises(PoolClosedError):
        future.result(10)
    with pytest.raises(PoolClosedError):
        client.submit(call("b"))
    until(lambda: pool.cancelled == ["a"])
    until(lambda: threading.active_count() <= threads)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_load_is_spread_and_a_daemon_that_fails_loses_nothing() -> None:
    first, second = FakePool(auto=False), FakePool(auto=False)
    with running(create_app({IMAGE: second})) as (url_2, _):
        with running(create_app({IMAGE: first})) as (url_1, server):
            client = sandbox.connect([url_1, url_2], batch=4, patience_seconds=60)
            futures = [client.submit(call(f"{n}")) for n in range(16)]
            until(lambda: first.held and second.held)
            done = next(iter(first.held))
            first.finish(done)
            assert futures[int(done)].result(10).job_id == done
            server.force_exit = True  # the first daemon drops its connections
        second.auto = True
        for name in list(second.held):
            second.finish(name)
        assert [future.result(30).tests[0].value for future in futures] == [f"{n}" for n in range(16)]
        client.close()
    assert done not in [job.id for job in second.jobs]  # what was answered is not asked again


def test_a_daemon_that_comes_back_is_used_again() -> None:
    port = free_port()
    with running(create_app({IMAGE: FakePool()}), port) as (url, _):
        client = sandbox.connect(url, patience_seconds=60)
        assert client.run(call("a")).status is Status.OK
    future = client.submit(call("b"))
    with running(create_app({IMAGE: FakePool()}), port):
        assert future.result(30).status is Status.OK
        client.close()


def test_an_outage_is_a_fault_of_ours_with_its_reason() -> None:
    with running(create_app({IMAGE: FakePool()})) as (url, _):
        client = sandbox.connect(url, patience_seconds=0.5)
    outcome = client.run(call("a"))
    assert outcome.status is Status.INFRA
    assert url in outcome.detail and "no daemon answered" in outcome.detail
    client.close()


def test_a_long_queue_is_no_outage() -> None:
    pool = FakePool(slots=1, auto=False)
    with (
        running(create_app({IMAGE: pool})) as (url, _),
        sandbox.connect(url, patience_seconds=3, batch=1, requests=1) as client,
    ):
        futures = [client.submit(call(f"{n}")) for n in range(5)]
        for n, future in enumerate(futures):
            until(partial(pool.held.__contains__, f"{n}"))
            time.sleep(0.8)
            pool.finish(f"{n}")
            assert future.result(10).status is Status.OK


def test_being_busy_with_others_is_no_outage() -> None:
    pool = FakePool(slots=1, auto=False)
    with (
        running(create_app({IMAGE: pool}, settings=Settings(queue=1))) as (url, server),
        sandbox.connect(url) as other,
        sandbox.connect(url, patience_seconds=2) as client,
    ):
        requests = server.config.app.state.service.metrics.requests  # type: ignore[union-attr]
        held = other.submit(call("held"))
        until(lambda: pool.held)
        future = client.submit(call("late"))
        until(
            lambda: requests.labels("/v1/run", "429")._value.get() >= 4
        )  # it has waited longer than its patience
        pool.auto = True
        pool.finish("held")
        assert held.result(30).status is Status.OK
        assert future.result(30).status is Status.OK


def test_time_in_the_clients_queue_counts_against_the_deadline(pool: FakePool, url: str) -> None:
    pool.auto = False
    with sandbox.connect(url, batch=1, requests=1, deadline_seconds=2.0) as client:
        first, second = client.submit(call("runs")), client.submit(call("waits"))
        until(lambda: pool.held)
        late = second.result(30)
        assert (late.status, late.detail) == (Status.INFRA, expired(call()).detail)
        pool.finish("runs")
        assert first.result(30).status is Status.OK
    assert [job.id for job in pool.jobs] == ["runs"]


def test_an_outage_does_not_outlast_the_deadline() -> None:
    with running(create_app({IMAGE: FakePool()})) as (url, _):
        client = sandbox.connect(url, patience_seconds=20, deadline_seconds=0.5)
    outcome = client.run(call("a"))
    assert (outcome.status, outcome.detail) == (Status.INFRA, expired(call()).detail)
    client.close()


def test_a_request_says_how_much_of_the_deadline_is_left(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    asked: list[float] = []

    def body(priority: int, texts: Sequence[bytes], seconds_left: float) -> bytes:
        asked.append(seconds_left)
        return run_body(priority, texts, seconds_left)

    run_body = asynchronous._run_body
    monkeypatch.setattr(asynchronous, "_run_body", body)
    with sandbox.connect(url, deadline_seconds=60.0) as client:
        early = client._client.job_item(call("early"), Future())
        early.asked_at -= 40
        client._put([early])
        assert early.future.result().status is Status.OK
    assert 0 < asked[0] <= 20


@pytest.mark.parametrize(
    "address",
    ["10.0.0.5:8000", "http://", "http://host:port", "https://host:70000", "http://[::1:8000", "ftp://host"],
)
def test_what_is_no_address_is_said_with_what_is(address: str) -> None:
    with pytest.raises(DaemonError, match="is not the address of a daemon: use http://HOST:PORT"):
        sandbox.connect(address)


def test_what_cannot_be_used_is_said_at_once(url: str) -> None:
    with pytest.raises(DaemonError, match="no daemon answers .*coderl sandbox serve"):
        sandbox.connect(f"http://127.0.0.1:{free_port()}")
    with running(create_app({IMAGE: FakePool()}, tokens=Tokens([Caller("a", secret("a"))]))) as (guarded, _):
        with pytest.raises(DaemonError, match=f"^{guarded} refuses the token: .* CODERL_TOKEN"):
            sandbox.connect(guarded, "wrong")
        with pytest.raises(
            DaemonError, match=f"^{guarded} asks for a token, and none was given: .* CODERL_TOKEN"
        ):
            sandbox.connect(guarded)
        with sandbox.connect(guarded, "a") as client:
            assert client.run(call()).status is Status.OK


def test_with_an_event_loop(url: str, pool: FakePool) -> None:
    async def use() -> set[str]:
        async with AsyncClient([url], priority=7) as client:
            assert (await client.run(call("one"))).job_id == "one"
            outcomes = await asyncio.gather(*[client.run(call(f"{n}")) for n in range(40)])
            return {outcome.job_id for outcome in outcomes}

    assert asyncio.run(use()) == {f"{n}" for n in range(40)}


def test_it_says_what_the_pool_says(shared_pool: Pool) -> None:
    jobs = [
        call("calls", "def f(x):\n    return [x, {x: (x,)}, b'x', object] if x else 1 / x\n", 1, 0, 2.5),
        call("nul", "\x00"),
        call("surrogate", "'\ud800'\n"),
        Job(id="stdio", program="print(input()[::-1])\n", work=Stdio(("abc", ""))),
        Job(
            id="judge",
            program="def f(x):\n    return 2 * x\n",
            work=Judge(kind="script", test="assert f(1) == 2\nassert f([1]) == [1]\n", entry_point="f"),
        ),
    ]
    kept: Any = Kept(shared_pool)
    with running(create_app({shared_pool.image: kept})) as (url, _), sandbox.connect(url) as client:
        for job in (replace(job, limits=LIMITS) for job in jobs):
            here, there = shared_pool.run(job), client.run(job)
            assert plain(there) == plain(here)
            assert there.wall_seconds > 0


class Kept:
    """A pool that other tests go on with: closing the daemon does not close it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def close(self) -> None:
        return


def plain(outcome: Outcome) -> Outcome:
    """Without what no two runs have in common."""
    tests = tuple(replace(test, cpu_seconds=0.0) for test in outcome.tests)
    return replace(outcome, tests=tests, cpu_seconds=0.0, wall_seconds=0.0, peak_memory_bytes=0)


def test_what_is_too_large_for_a_request_fails_alone() -> None:
    app = create_app({IMAGE: FakePool()}, settings=Settings(max_body_bytes=MIB))
    with running(app) as (url, _), sandbox.connect(url) as client:
        jobs = [call("a"), call("large", "#" * 2 * MIB), call("b")]
        small, large, other = [client.submit(job) for job in jobs]
        assert small.result(20).status is other.result(20).status is Status.OK
        with pytest.raises(ValueError, match="takes .* bytes, and .* takes 1048576 at once"):
            large.result(20)
