"""What a program writes where its results go: its own word, whatever it says, and no more than that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.job_json import outcome_from_json, outcome_to_json
from sandbox.jobs import results
from sandbox.pool.pool import Pool
from sandbox.protocol import Call, Calls, Job, Limits, Outcome, Runner, Status
from tasks.grading.grader import Grader
from tasks.types import CallTest, JudgeTest, StdioTest, Task, Tests
from tests.sandbox.conftest import BACKENDS, LIMITS, open_or_skip, run_calls, run_stdio

JOB = Job(id="job", program="", work=Calls((Call("f"),)))

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [10**400, -(10**4000), 1 << 64, 0.0, float("nan"), float("inf"), "\ud800", "ready", "call"]
    ),
    st.floats(),
    st.text(max_size=5),
)
anything = st.recursive(
    leaves, lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part, max_size=4)
)
KEYS = (
    "value",
    "failure",
    "fatal",
    "cpu",
    "stdout",
    "stderr",
    "truncated",
    "type",
    "message",
    "phase",
    "frames",
)
frames = st.dictionaries(st.sampled_from(KEYS), anything, max_size=6)


@given(frames, frames, st.text(max_size=20) | anything.map(json.dumps))
def test_no_frame_raises_or_looks_like_a_fault_of_ours(
    frame: dict[str, Any], failure: dict[str, Any], value: str
) -> None:
    for sent in (frame, {**frame, "value": value}, {**frame, "failure": failure}):
        test = results.claimed(JOB, sent, sent.get("failure"), results.seconds(sent.get("cpu")))
        assert test.status is not Status.INFRA
        assert 0 <= test.cpu_seconds < float("inf")
        assert all(0 <= each.line < 1 << 31 for each in (test.error.frames if test.error else ()))
        outcome = Outcome(job_id="job", status=test.status, tests=(test,))
        text = json.dumps(outcome_to_json(outcome), ensure_ascii=False)
        again = outcome_from_json("job", json.loads(text))
        assert again.tests[0].status in (test.status, Status.KILLED)
        if test.error:
            text.encode()  # nothing that a file could not hold


@given(anything)
def test_a_claimed_time_is_a_time(value: object) -> None:
    assert 0 <= results.seconds(value) <= 1e9


BODIES = {
    "cpu of 10**400": b'{"value":"2","cpu":1' + b"0" * 400 + b"}",
    "cpu of 5000 digits": b'{"value":"2","cpu":1' + b"0" * 5000 + b"}",
    "negative cpu": b'{"value":"2","cpu":-1e308}',
    "nan": b'{"value":"2","cpu":NaN}',
    "infinity": b'{"value":"2","cpu":Infinity}',
    "cpu is a list": b'{"value":"2","cpu":[1]}',
    "cpu is true": b'{"value":"2","cpu":true}',
    "value is a number": b'{"value":2}',
    "value is malformed": b'{"value":"{\\"t\\":"}',
    "value is huge": b'{"value":"1' + b"0" * 5000 + b'"}',
    "value is deep": b'{"value":"' + b"[" * 3000 + b"]" * 3000 + b'"}',
    "huge range": b'{"value":"{\\"range\\":[0,{\\"int\\":\\"0x' + b"f" * 400 + b'\\"},1]}"}',
    "no value": b"{}",
    "value twice": b'{"value":"2","value":"4"}',
    "surrogates": b'{"value":"2","stdout":"\\ud800\\udc00\\ud800"}',
    "a failure that is a number": b'{"failure":7}',
    "a failure of surrogates": b'{"failure":{"type":"\\ud800","message":"\\udfff","phase":"\\ud800"}}',
    "lines of 10**400": b'{"failure":{"type":"E","frames":[[1' + b"0" * 400 + b',"f","x"]]}}',
    "frames that are none": b'{"failure":{"type":"E","frames":[1,[2],{"a":1},[true,null,3]]}}',
    "a fatal number": b'{"fatal":1}',
    "infra": b'{"status":"infra","failure":{"type":"infra","phase":"infra"}}',
    "not an object": b"[1]",
    "not JSON": b"{",
    "not text": b"\xff\xfe",
    "nothing": b"",
    "deep": b'{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(20_000)) + b"}",
}
ENDS = ("os._exit(124)", "os._exit(0)", "os._exit(125)", "pass")
PROGRAM = """
import os, struct
def send(body):
    for fd in (4, 5):
        try: os.write(fd, struct.pack(">I", len(body)) + body)
        except OSError: pass
if READY: send(b'{"ready":true}')
send(BODY)
END
def f(x): return None
"""
TESTS: dict[str, Tests] = {
    "call": (CallTest(function="f", args=(1,), expected=3), CallTest(function="f", args=(2,), expected=5)),
    "stdio": (StdioTest(stdin="1\n", stdout="3\n"),),
    "script": (JudgeTest(kind="script", source="r = f(1)\nassert r == 3\n"),),
    "unittest": (
        JudgeTest(
            kind="unittest",
            source="import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n def test(self):\n  self.assertEqual(f(1), 3)\n",
        ),
    ),
}


@pytest.fixture(scope="module", params=BACKENDS)
def grader(request: pytest.FixtureRequest) -> Iterator[Grader]:
    limits = Limits(cpu_seconds=1.0, total_cpu_seconds=3.0, wall_seconds=5.0)
    with open_or_skip(request.param, slots=2, limits=limits) as pool:
        yield Grader(pool, limits=limits)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", TESTS)
def test_frames_of_its_own_earn_a_program_nothing(grader: Grader, kind: str) -> None:
    task = Task(id=kind, prompt="", entry_point="f", tests=TESTS[kind])
    programs = {
        (name, end): PROGRAM.replace("READY", str(n % 2)).replace("BODY", repr(body)).replace("END", end)
        for n, (name, body) in enumerate(BODIES.items())
        for end in (ENDS if kind == "call" else ENDS[n % len(ENDS) :][:1])
    }
    verdicts = grader.grade(task, programs.values())
    fooled = {
        name: (verdict.status, verdict.score, verdict.detail)
        for name, verdict in zip(programs, verdicts, strict=True)
        if verdict.passed or verdict.score != 0 or verdict.status is Status.INFRA
    }
    assert fooled == {}
    json.dumps([str(verdict) for verdict in verdicts], ensure_ascii=False).encode()


SPIN = """
import os, time
FRAME = b"\\0\\0\\0\\x02{}"
def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
"""
TIGHT = replace(LIMITS, cpu_seconds=0.6, total_cpu_seconds=20.0, wall_seconds=20.0)


def test_frames_of_its_own_give_a_program_no_more_time(pool: Pool) -> None:
    slow = SPIN + "for _ in range(8):\n    spin(0.3)\n    os.write(4, FRAME)\nprint(3)\n"
    late = run_stdio(pool, slow, "", limits=TIGHT)
    assert late.tests[0].status is Status.CPU_TIMEOUT and late.cpu_seconds < 1.5
    sleepy = SPIN + "for _ in range(8):\n    time.sleep(0.5)\n    os.write(4, FRAME)\nprint(3)\n"
    late = run_stdio(pool, sleepy, "", limits=replace(LIMITS, wall_seconds=1.5))
    assert late.tests[0].status is Status.WALL_TIMEOUT and late.wall_seconds < 3.5


def test_a_program_of_calls_has_the_time_of_its_calls(pool: Pool) -> None:
    """However many frames it sends: one begins a call each, and after the last it is ended."""
    chatty = SPIN + "for _ in range(20):\n    spin(0.3)\n    os.write(4, FRAME)\ndef f(x): return x\n"
    late = run_calls(pool, chatty, 1, 2, limits=TIGHT)
    assert late.cpu_seconds < 2.5 and all(test.status is Status.KILLED for test in late.tests), late


def test_what_a_served_program_writes_moves_no_limit_of_its_judge(pool: Runner) -> None:
    from tests.sandbox.judging import judge

    slow = (
        SPIN
        + "def f(x):\n    for _ in range(8):\n        spin(0.3)\n        os.write(4, FRAME)\n    return 3\n"
    )
    late = judge(pool, slow, "r = f(1)\nassert r == 3\n", limits=TIGHT)
    assert late.status is Status.CPU_TIMEOUT and late.cpu_seconds < 1.7, late
