"""Checkers: an author's program decides on outputs, whatever these hold; where it cannot, it says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.errors import NoBackendError
from sandbox.pool.opening import open_backend
from sandbox.pool.pool import Pool
from sandbox.protocol import Case, CheckerStyle, Checks, Job, Limits, Outcome, Status, TestOutcome
from tests.sandbox.conftest import LIMITS

FUNCTION = """
def check(input, output, answer):
    if output == answer: return True
    if output == "half": return 0.5
    if output == "told": return False, "told so"
    if output == "part": return 0.25, "in part"
    if output == "raise": raise ValueError("cannot read it")
    if output == "exit": raise SystemExit(0)
    if output == "kill": import os; os._exit(0)
    if output == "loop":
        while True: pass
    if output == "eat": return [0] * (1 << 30)
    if output == "odd": return "yes"
    if output == "more": return 1.5
    if output == "nan": return float("nan")
    print("noise" * 1000)
    return 0
"""
TESTLIB = """
import sys
given, output, answer = (open(name).read() for name in sys.argv[1:4])
assert sys.argv[1:] == ["input.txt", "output.txt", "answer.txt"]
if output == answer: sys.exit(0)
if output == "points": print("points 0.5 of it", file=sys.stderr); sys.exit(7)
if output.isdigit(): print("status", output, file=sys.stderr); sys.exit(int(output))
raise ValueError("cannot read it")
"""
PRINTED = """
import sys
given, answer, output = (open(name).read() for name in sys.argv[1:4])
if output == "raise": raise ValueError("cannot read it")
print("some", "words")
if output != "nothing": print({"right": 1, "half": 0.5, "more": 2}.get(output, 0))
"""
CPP = r"""
#include <fstream>
#include <iostream>
int main(int argc, char **argv) {
    std::ifstream output(argv[2]), answer(argv[3]);
    int seen = -1, wanted;
    output >> seen; answer >> wanted;
    if (seen == 99) return *(volatile int *)0;
    std::cerr << "seen " << seen << "\n";
    return seen == wanted ? 0 : seen == 7 ? 7 : 1;
}
"""


def run(
    pool: Pool,
    style: CheckerStyle,
    checker: str,
    *outputs: object,
    language: str = "python",
    answer: object = "right",
    limits: Limits = LIMITS,
) -> Outcome:
    work = Checks(style=style, cases=tuple(Case("in", output, answer) for output in outputs))
    outcome = pool.run(Job(id="c", program=checker, work=work, limits=limits, language=language))
    assert outcome.status is Status.OK and outcome.attempts == 1 and len(outcome.tests) == len(outputs), (
        outcome
    )
    return outcome


def said(test: TestOutcome) -> tuple[object, str]:
    assert test.status is Status.OK and (test.passed is None) == (test.value is None), test
    assert test.value is None or test.passed == (test.value == 1.0)
    return test.value, test.stderr


def test_a_functions_answer_is_a_score_and_a_message(pool: Pool) -> None:
    outcome = run(pool, "function", FUNCTION, "right", "half", "told", "part", "wrong")
    assert list(map(said, outcome.tests)) == [
        (1.0, ""),
        (0.5, ""),
        (0.0, "told so"),
        (0.25, "in part"),
        (0.0, ""),
    ]


def test_values_are_given_as_they_are(pool: Pool) -> None:
    checker = "def check(i, o, a): return type(o) is tuple and o[0] == a[0] and i == 'in'"
    outcome = run(pool, "function", checker, (3, {"x": 1}), [3], (2,), answer=(3,))
    assert [test.value for test in outcome.tests] == [1.0, 0.0, 0.0]


def test_an_output_that_no_checker_can_be_shown_is_wrong(pool: Pool) -> None:
    deep: list[object] = []
    for _ in range(300):
        deep = [deep]
    shown, right = run(pool, "function", FUNCTION, deep, "right").tests
    assert said(shown)[0] == 0.0 and "no checker can be shown the output" in shown.stderr
    assert right.passed


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("raise", "ValueError: cannot read it"),
        ("exit", "SystemExit"),
        ("kill", "exited with status 0"),
        ("loop", "cpu timeout"),
        ("eat", "MemoryError"),
        ("odd", "'yes', neither"),
        ("more", "1.5, neither"),
        ("nan", "nan, neither"),
    ],
)
def test_a_function_that_fails_decides_nothing(pool: Pool, output: str, why: str) -> None:
    limits = Limits(cpu_seconds=0.5, total_cpu_seconds=3.0, memory_bytes=192 << 20, scratch_bytes=32 << 20)
    failed, right = run(pool, "function", FUNCTION, output, "right", limits=limits).tests
    value, message = said(failed)
    assert value is None and why in message, message
    assert right.passed, "the next output has a process of its own"


def test_a_checker_that_never_ends_is_not_waited_for_at_every_case(pool: Pool) -> None:
    limits = Limits(cpu_seconds=0.5, total_cpu_seconds=60.0, memory_bytes=192 << 20, scratch_bytes=32 << 20)
    outcome = run(pool, "function", FUNCTION, *["loop"] * 20, limits=limits)
    assert [said(test)[0] for test in outcome.tests] == [None] * 20
    assert outcome.cpu_seconds < 3


def test_what_is_no_checker_decides_nothing(pool: Pool) -> None:
    for checker in ("def chekc(i, o, a): return True", "this is no Python", "raise ValueError", ""):
        (test,) = run(pool, "function", checker, "right").tests
        assert said(test)[0] is None and test.stderr


def test_testlibs_exit_statuses(pool: Pool) -> None:
    outcome = run(pool, "testlib", TESTLIB, "right", "points", "1", "2", "3", "4", "5", "7", "8", "x")
    scores = [said(test)[0] for test in outcome.tests]
    assert scores == [1.0, 0.5, 0.0, 0.0, None, 0.0, None, None, 0.0, None]
    messages = [test.stderr for test in outcome.tests]
    assert messages[1:3] == ["points 0.5 of it", "status 1"]
    assert messages[4] == "it ended with status 3: status 3" and "ValueError: cannot read it" in messages[9]


def test_a_printed_score(pool: Pool) -> None:
    outcome = run(pool, "printed", PRINTED, "right", "half", "wrong", "more", "nothing", "raise")
    assert [said(test)[0] for test in outcome.tests] == [1.0, 0.5, 0.0, None, None, None]
    assert outcome.tests[0].stderr == "some words" and "'words' is no score" in outcome.tests[4].stderr


@pytest.mark.parametrize("style", ["function", "testlib", "printed"])
def test_outputs_are_data_whatever_they_hold(pool: Pool, style: CheckerStyle) -> None:
    """Long, binary, surrogates, names of files: none reaches beyond the checker, or the next case."""
    checkers = {
        "function": "def check(i, o, a): return len(o) > 3",
        "testlib": "import sys\nsys.exit(0 if len(open('output.txt', errors='replace', newline='').read()) > 3 else 1)",
        "printed": "print(int(len(open('output.txt', errors='replace', newline='').read()) > 3))",
    }
    outputs = [
        "x" * 1_000_000,
        "\0\1\r\n\x7f",
        "\ud800\udfff\ud800" * 2,
        "../../etc/passwd",
        "/proc/self/mem",
        "%s%n$(id)",
        "",
        "1",
    ]
    outcome = run(pool, style, checkers[style], *outputs)
    assert [test.passed for test in outcome.tests] == [True] * 6 + [False] * 2


def test_a_checker_leaves_nothing_for_the_next_and_a_program_finds_none_of_it(pool: Pool) -> None:
    leaves = "import os\ndef check(i, o, a):\n    seen = os.listdir('.')\n    open('left', 'w').write(a)\n    return not seen, str(seen)"
    assert [test.stderr for test in run(pool, "function", leaves, "a", "b").tests] == ["[]", "[]"]


@pytest.fixture(scope="module", params=["docker", "bubblewrap"])
def cpp(request: pytest.FixtureRequest) -> Iterator[Pool]:
    try:
        backend = open_backend(request.param, LIMITS, languages=["cpp"])
    except NoBackendError as error:
        pytest.skip(f"{request.param} cannot run C++ here: {error}")
    with Pool(backend, 1, limits=LIMITS) as pool:
        yield pool


def test_a_checker_in_cpp_is_compiled_once(cpp: Pool) -> None:
    outcome = run(cpp, "testlib", CPP, "1", "2", "99", "", "7", language="cpp", answer="1")
    assert [said(test)[0] for test in outcome.tests] == [1.0, 0.0, None, 0.0, None]
    assert outcome.tests[0].stderr == "seen 1" and "SIGSEGV" in outcome.tests[2].stderr
    again = run(cpp, "testlib", CPP, "1", language="cpp", answer="1")
    assert again.tests[0].passed and again.wall_seconds < 0.5
    (refused,) = run(cpp, "testlib", "int main() { return nowhere; }", "1", language="cpp").tests
    assert refused.passed is None and "does not compile" in refused.stderr and "nowhere" in refused.stderr


def test_a_function_is_in_python(cpp: Pool) -> None:
    with pytest.raises(ValueError, match="stdio tests only"):
        cpp.submit(Job(id="x", program=CPP, work=Checks(style="function", cases=()), language="cpp"))
