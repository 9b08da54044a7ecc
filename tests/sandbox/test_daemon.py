"""The service's promises, over real HTTP, with a pool that the tests control."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import httpx
import pytest

import sandbox
from sandbox.daemon import tokens as token_file
from sandbox.daemon.routes import Settings, create_app, run_item
from sandbox.daemon.schema import MAX_TESTS, JobModel, LimitsModel
from sandbox.daemon.tokens import Caller, TokenFileError, Tokens
from sandbox.protocol import CEILING, MIB, Limits, Status
from tasks.commands import service
from tasks.grading import reference
from tests.sandbox.daemons import FakePool, running, until, wire

IMAGE = "sha256:" + 64 * "a"
OTHER = "sha256:" + 64 * "b"


@pytest.fixture
def pool() -> FakePool:
    return FakePool(slots=2, auto=False)


@pytest.fixture
def other_pool() -> FakePool:
    return FakePool()


@pytest.fixture
def http(pool: FakePool, other_pool: FakePool) -> Iterator[httpx.Client]:
    settings = Settings(queue=8, max_body_bytes=MIB, cache_bytes=MIB)
    app = create_app({IMAGE: pool, OTHER: other_pool}, settings=settings)
    with running(app) as (url, _), httpx.Client(base_url=url, timeout=30) as client:
        yield client


def post(http: httpx.Client, *jobs: dict[str, Any], **fields: Any) -> httpx.Response:
    return http.post("/v1/run", json={"jobs": jobs, **fields})


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines() if line]


class Posted:
    """A request under way, in a thread."""

    def __init__(self, http: httpx.Client, *jobs: dict[str, Any], **fields: Any) -> None:
        import threading

        self.response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._post, args=(http, jobs, fields))
        self._thread.start()

    def _post(self, http: httpx.Client, jobs: Any, fields: Any) -> None:
        self.response = http.post("/v1/run", json={"jobs": jobs, **fields})

    def lines(self) -> list[dict[str, Any]]:
        self._thread.join(30)
        assert self.response is not None
        return lines(self.response)


def admitted(http: httpx.Client) -> int:
    page = http.get("/metrics").text
    (value,) = [line.split()[1] for line in page.splitlines() if line.startswith("coderl_sandbox_admitted ")]
    return round(float(value))


def test_outcomes_come_as_they_finish_and_a_last_line_says_that_all_are_there(
    http: httpx.Client, pool: FakePool
) -> None:
    with http.stream("POST", "/v1/run", json={"jobs": [wire("a"), wire("b")]}) as response:
        until(lambda: "b" in pool.held)
        pool.finish("b")
        rows = response.iter_lines()
        first = json.loads(next(rows))
        assert (first["index"], first["outcome"]["status"]) == (1, "ok")
        assert first["outcome"]["tests"][0]["value"] == "b"
        pool.finish("a")
        assert [json.loads(row) for row in rows][-1] == {"done": 2}


def test_the_queue_is_bounded_and_says_when_to_come_back(http: httpx.Client, pool: FakePool) -> None:
    held = Posted(http, *[wire(f"{n}") for n in range(8)])
    until(lambda: admitted(http) == 8)
    refused = post(http, wire("late"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "busy")
    assert int(refused.headers["retry-after"]) >= 1
    assert post(http, *[wire(f"{n}") for n in range(9)]).status_code == 413
    pool.auto = True
    for name in list(pool.held):
        pool.finish(name)
    assert len(held.lines()) == 9
    assert lines(post(http, wire("late")))[-1] == {"done": 1}


def test_a_higher_priority_runs_first_and_none_starves(http: httpx.Client, pool: FakePool) -> None:
    low = Posted(http, *[wire(f"low{n}") for n in range(4)], priority=1)
    until(lambda: len(pool.jobs) == 2)
    high = Posted(http, *[wire(f"high{n}") for n in range(4)], priority=8)
    until(lambda: admitted(http) == 8)
    while len(pool.jobs) < 8 or pool.held:
        pool.finish(next(iter(pool.held)))
    assert len(high.lines()) == len(low.lines()) == 5
    order = [job.id for job in pool.jobs]
    assert order[:2] == ["low0", "low1"]
    assert [name for name in order if name.startswith("high")] == ["high0", "high1", "high2", "high3"]
    assert order.index("high2") < order.index("low3")  # one in eight may go to the oldest


def test_what_has_not_started_at_the_deadline_is_infra_and_what_runs_goes_on(
    http: httpx.Client, pool: FakePool
) -> None:
    late = Posted(http, *[wire(f"{n}") for n in range(4)], deadline_seconds=0.3)
    until(lambda: admitted(http) == 2)
    for name in ("0", "1"):
        pool.finish(name)
    outcomes = {line["index"]: line["outcome"] for line in late.lines()[:-1]}
    assert [outcomes[n]["status"] for n in range(4)] == ["ok", "ok", "infra", "infra"]
    assert "deadline" in outcomes[3]["detail"]


def test_a_client_that_goes_takes_its_jobs_along(http: httpx.Client, pool: FakePool) -> None:
    with http.stream("POST", "/v1/run", json={"jobs": [wire("a"), wire("b"), wire("c")]}):
        until(lambda: "b" in pool.held)
    until(lambda: admitted(http) == 0)
    assert set(pool.cancelled) == {"a", "b"}
    assert [job.id for job in pool.jobs] == ["a", "b"]


def test_one_key_is_run_once_while_it_runs_and_afterwards(http: httpx.Client, pool: FakePool) -> None:
    first = Posted(http, wire("a", key="k"))
    until(lambda: "a" in pool.held)
    second = Posted(http, wire("again", key="k"), wire("twin", key="k"))
    until(lambda: "coderl_sandbox_attached_total 2.0" in http.get("/metrics").text)
    pool.finish("a")
    answers = [line["outcome"] for line in first.lines()[:-1] + second.lines()[:-1]]
    assert len(answers) == 3 and all(answer == answers[0] for answer in answers)
    assert lines(post(http, wire("later", key="k")))[0]["outcome"] == answers[0]
    assert [job.id for job in pool.jobs] == ["a"]
    other = post(http, wire("a", key="k", program="def f(x):\n    return 0\n"))
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key")


def test_whoever_leaves_does_not_take_what_another_waits_for(http: httpx.Client, pool: FakePool) -> None:
    with http.stream("POST", "/v1/run", json={"jobs": [wire("a", key="k")]}):
        until(lambda: "a" in pool.held)
        second = Posted(http, wire("a", key="k"))
        until(lambda: "coderl_sandbox_attached_total 1.0" in http.get("/metrics").text)
    http.get("/healthz")
    pool.finish("a")
    assert second.lines()[0]["outcome"]["status"] == "ok"
    assert pool.cancelled == []


def test_whoever_leaves_before_it_began_does_not_leave_another_waiting() -> None:
    service = create_app({IMAGE: FakePool()}).state.service
    caller = service.tokens.caller(None)

    async def use() -> list[dict[str, Any]]:
        first, second = (
            service.batches.open(
                caller,
                [run_item(service, "", JobModel.model_validate(wire("a", key="k")))],
                priority=5,
                deadline_seconds=None,
            )
            for _ in range(2)
        )
        first.close()
        async with asyncio.timeout(20):
            answer = b"".join([piece async for piece in second.lines()])
        return [json.loads(line) for line in answer.splitlines()]

    answer, end = asyncio.run(use())
    assert (answer["outcome"]["status"], end) == ("ok", {"done": 1})


def test_a_fault_of_ours_is_not_recorded(http: httpx.Client, pool: FakePool) -> None:
    first = Posted(http, wire("a", key="k"))
    until(lambda: "a" in pool.held)
    pool.finish("a", Status.INFRA)
    assert first.lines()[0]["outcome"]["status"] == "infra"
    pool.auto = True
    assert lines(post(http, wire("b", key="k")))[0]["outcome"]["status"] == "ok"


def test_the_cache_answers_the_same_question_for_the_same_image_only(
    http: httpx.Client, pool: FakePool, other_pool: FakePool
) -> None:
    pool.auto = True
    for name in ("a", "b"):
        lines(post(http, wire(name)))
    lines(post(http, wire("c", limits={"cpu_seconds": 1.0})))
    lines(post(http, wire("d", image=OTHER)))
    lines(post(http, wire("e", image=IMAGE)))
    assert [job.id for job in pool.jobs] == ["a", "c"]
    assert [job.id for job in other_pool.jobs] == ["d"]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b'{"jobs": [NaN]}', 400, "not_json"),
        (b'{"jobs": [-Infinity]}', 400, "not_json"),
        (b" \n", 400, "not_json"),
        (b'{"jobs": []} {}', 400, "not_json"),
        ('{"jobs": []}\u00a0'.encode(), 400, "not_json"),
        (b"\xff\xfe{}", 400, "not_utf8"),
        (b'{"jobs": "\x00"}', 400, "not_json"),
        (b"[" * 100_000, 400, "not_json"),
        (b'{"jobs": ' + b"[" * 900 + b"]" * 900 + b"}", 422, "invalid"),
        (b" " * (MIB + 1), 413, "body_too_large"),
        (json.dumps({"jobs": []}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a", program=7)]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a\x00")]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("\ud800")]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a", **{"\ud800": 1})]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a", language="cobol")]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a", limits={"memory_bytes": 1 << 60})]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a", limits={"cpu_seconds": -1})]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a", limits={"cpu_seconds": 299})]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a", surprise=1)]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a", image="sha256:" + 64 * "c")]}).encode(), 422, "invalid"),
        (json.dumps({"jobs": [wire("a", program="refuse")]}).encode(), 422, "invalid"),
        (
            json.dumps(
                {
                    "jobs": [
                        wire("a", work={"kind": "calls", "calls": [{"function": "f", "args": [{"x": 1}]}]})
                    ]
                }
            ).encode(),
            422,
            "invalid",
        ),
    ],
)
def test_bad_input_is_a_precise_refusal(http: httpx.Client, content: bytes, status: int, code: str) -> None:
    response = http.post("/v1/run", content=content, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text
    assert "Traceback" not in response.text and len(response.text) < 3000
    assert response.json()["error"]["message"]


def test_white_space_around_a_body_is_json_too(http: httpx.Client, pool: FakePool) -> None:
    pool.auto = True
    body = b" \t\r\n" + json.dumps({"jobs": [wire("a", program="NaN, Infinity")]}).encode() + b"\r\n"
    response = http.post("/v1/run", content=body, headers={"content-type": "application/json"})
    assert lines(response)[-1] == {"done": 1}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("path", ["/v1/run", "/v1/grade"])
def test_what_is_no_json_number_is_refused_by_name(number: str, path: str) -> None:
    pool = FakePool()
    row: dict[str, object] = {
        "id": "add",
        "prompt": "",
        "entry_point": "add",
        "tests": {"call": [{"args": ["?"], "expected": "?", "compare": {"tolerance": "?"}}]},
        **dict.fromkeys(("cpu_seconds", "memory_bytes"), "?"),
    }
    limits = {each.name: "?" for each in fields(Limits)}
    bodies: dict[str, dict[str, Any]] = {
        "/v1/run": {"jobs": [wire("a", limits=limits, work={"kind": "calls", "calls": [{"args": ["?"]}]})]},
        "/v1/grade": {"tasks": [row], "completions": [{"task_id": "add", "program": "x"}]},
    }
    text = json.dumps({**bodies[path], "priority": "?", "deadline_seconds": "?"})
    places = [match.start() for match in re.finditer(r'"\?"', text)]
    assert len(places) >= 7
    app = create_app({IMAGE: pool}, routers=[service.make_router])
    with running(app) as (url, _), httpx.Client(base_url=url, timeout=30) as http:
        for place in places:
            content = (text[:place] + number + text[place + 3 :]).replace('"?"', "1")
            refused = http.post(path, content=content, headers={"content-type": "application/json"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "not_json"), content
            assert f"{number} is not JSON" in refused.json()["error"]["message"]


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_no_limit_is_above_the_ceiling_for_want_of_a_number(number: Any) -> None:
    for limit in fields(Limits):
        with pytest.raises(ValueError, match=limit.name):
            LimitsModel.model_validate({limit.name: number})


def test_the_ceiling_of_limits_is_stated_once(http: httpx.Client, pool: FakePool) -> None:
    """It is what `/v1/info` and the OpenAPI page say, what the table in sandbox/README.md does, and what holds."""
    pool.auto = True
    page = http.get("/openapi.json").json()["components"]["schemas"]["LimitsModel"]["properties"]
    table = (Path(sandbox.__file__).parent / "README.md").read_text()
    units = {"MiB": MIB, "GiB": 1024 * MIB}
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d.]+) ?(\w*) \| ([\d.]+) ?(\w*) \|$", table, re.MULTILINE)
    stated = {name: (int(a) * units.get(x, 1), int(b) * units.get(y, 1)) for name, a, x, b, y in rows}
    assert http.get("/v1/info").json()["ceiling"] == asdict(CEILING)
    for name, most in asdict(CEILING).items():
        default = getattr(Limits(), name)
        assert (page[name]["default"], page[name]["maximum"], stated[name]) == (
            default,
            most,
            (default, most),
        )
        refused = post(http, wire("a", limits={name: most + 1}))
        assert refused.status_code == 422 and f"equal to {int(most)}" in refused.json()["error"]["message"]
    assert lines(post(http, wire("b", limits=asdict(CEILING))))[-1] == {"done": 1}


def test_a_reference_asks_for_no_more_than_a_daemon_grants() -> None:
    for name, asked in asdict(reference.LIMITS).items():
        assert asked <= getattr(CEILING, name), name


def test_a_refusal_that_quotes_what_is_no_text_is_a_refusal() -> None:
    class Refusing(FakePool):
        def check_language(self, language: str) -> None:
            raise ValueError("job \ud800: refused")

    row = {"id": "\ud800", "prompt": "", "tests": {"stdio": [{"stdin": "", "stdout": ""}]}}
    app = create_app({IMAGE: Refusing()}, routers=[service.make_router])
    with running(app) as (url, _), httpx.Client(base_url=url, timeout=30) as http:
        body = json.dumps({"tasks": [row], "completions": [{"task_id": "\ud800", "program": "x"}]})
        refused = http.post("/v1/grade", content=body, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid"), refused.text
    assert refused.json()["error"]["message"] == r"body.tasks.0: job \ud800: refused"


def test_what_is_larger_than_the_documented_bounds_is_refused_where_it_stands() -> None:
    tests = {"work": {"kind": "stdio", "inputs": [""] * (MAX_TESTS + 1)}}
    long = [
        wire("a", program="#" * 5 * MIB),
        wire("b", work={"kind": "stdio", "inputs": ["7\n" * 5 * MIB]}),
        wire("c", work={"kind": "judge", "judge": "script", "test": "#" * 5 * MIB}),
    ]
    with running(create_app({IMAGE: FakePool()})) as (url, _), httpx.Client(base_url=url, timeout=30) as http:
        refused = post(http, wire("a", **tests))
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid")
        assert "body.jobs.0.work.stdio.inputs: " in refused.json()["error"]["message"]
        assert [line["outcome"]["status"] for line in lines(post(http, *long))[:-1]] == ["ok"] * 3


def test_a_refusal_says_where(http: httpx.Client) -> None:
    bad = {"kind": "calls", "calls": [{"function": "f"}, {"function": "f", "args": [{"set": [[1]]}]}]}
    message = post(http, wire("b", work=bad)).json()["error"]["message"]
    assert message.startswith("body.jobs.0: work.calls.1: ")


def test_a_wrong_item_does_not_take_the_others_along(http: httpx.Client, pool: FakePool) -> None:
    pool.auto = True
    wrong: list[tuple[Any, str]] = [
        (wire("a", program=7), "body.jobs.1.program: "),
        (7, "body.jobs.1"),
        (wire("a", surprise=1), "body.jobs.1.surprise: "),
        (wire("a", limits={"wall_seconds": 301}), "body.jobs.1.limits.wall_seconds: "),
        (wire("a", program="refuse"), "body.jobs.1: job a: refused"),
        (
            wire("a", work={"kind": "calls", "calls": [{"function": "f", "args": [{"x": 1}]}]}),
            "work.calls.0: ",
        ),
        (wire("a", key="k"), "stands for two different items"),
    ]
    for job, where in wrong:
        answer = lines(post(http, wire("before", key="k", program="1"), job, wire("after")))
        assert answer[-1] == {"done": 3}
        by_index = {line["index"]: line for line in answer[:-1]}
        assert [by_index[n]["outcome"]["status"] for n in (0, 2)] == ["ok", "ok"]
        assert by_index[1]["fault"]["code"] in ("invalid", "key")
        assert where in by_index[1]["fault"]["message"]


def test_an_unready_daemon_says_so_and_recovers(http: httpx.Client, pool: FakePool) -> None:
    pool.auto = True
    for number in range(3):
        pool.auto = False
        sent = Posted(http, wire(f"{number}"))
        until(lambda: pool.held)
        pool.finish(f"{number}", Status.INFRA)
        sent.lines()
    pool.auto = True  # its answer is not that of the canary
    unready = http.get("/readyz")
    assert (unready.status_code, unready.json()["ready"]) == (503, False)
    assert "known to be good" in unready.json()["problem"]
    assert http.get("/readyz").json() == {"ready": True, "problem": ""}  # the last one was no fault of ours


def secret(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_tokens_and_their_quotas() -> None:
    pool = FakePool(slots=1)
    callers = [
        Caller("trainer", secret("t"), jobs=2),
        Caller("evaluation", secret("e"), jobs_per_minute=3, priority=3),
    ]
    with running(create_app({IMAGE: pool}, tokens=Tokens(callers))) as (url, _):
        with httpx.Client(base_url=url) as nobody:
            for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic t"}):
                refused = nobody.post("/v1/run", content=b"{", headers=headers)
                assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorized")
                assert refused.headers["www-authenticate"] == "Bearer"
            assert nobody.get("/healthz").text == "ok\n"
        with httpx.Client(base_url=url, headers={"Authorization": "Bearer t"}) as trainer:
            assert lines(post(trainer, wire("a"), wire("b"), priority=9))[-1] == {"done": 2}
            assert post(trainer, *[wire(f"{n}") for n in range(3)]).status_code == 413
        with httpx.Client(base_url=url, headers={"Authorization": "bearer e"}) as evaluation:
            assert post(evaluation, wire("a"), priority=4).json()["error"]["code"] == "priority"
            lines(post(evaluation, *[wire(f"{n}") for n in range(5)], priority=3))  # into debt
            over = post(evaluation, wire("4"), priority=3)
            assert (over.status_code, over.json()["error"]["code"]) == (429, "quota")
            assert 20 <= int(over.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no .*docs/serving.md"),
        ("[tokens.a]\nsha256 = 'x'", "64 hexadecimal .*sha256sum.*docs/serving.md"),
        ("[tokens.a]\nsha = 'x'", "unknown key 'sha'"),
        ("[tokens.a]\njobs = -1", "not a int of 0 or more"),
        ("[tokens", "cannot be read"),
    ],
)
def test_a_token_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    with pytest.raises(TokenFileError, match=problem):
        token_file.read(path)


def test_draining_finishes_what_runs_and_takes_nothing_new() -> None:
    pool = FakePool(slots=1, auto=False)
    with running(create_app({IMAGE: pool})) as (url, server), httpx.Client(base_url=url, timeout=30) as http:
        held = Posted(http, wire("a"))
        until(lambda: pool.held)
        server.config.app.state.service.batches.draining = True  # type: ignore[union-attr]
        assert http.get("/readyz").json() == {"ready": False, "problem": "draining"}
        refused = post(http, wire("b"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        server.handle_exit(15, None)
        pool.finish("a")
        assert held.lines()[-1] == {"done": 1}
    assert pool.closed


def test_limits_that_are_asked_for_reach_the_job(http: httpx.Client, pool: FakePool) -> None:
    pool.auto = True
    lines(post(http, wire("a", limits={"cpu_seconds": 2, "processes": 3})))
    assert pool.jobs[0].limits == Limits(cpu_seconds=2.0, processes=3)
