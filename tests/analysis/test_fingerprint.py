"""Fingerprints: what is masked, what is kept, and what tells wrong answers apart."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.mistakes.fingerprint import fingerprint, message_template, source_template
from analysis.reading.rows import Row, Test

FAILURE = Row(
    source="train",
    step=1,
    sample=0,
    task_id="t",
    passed=False,
    phase="call",
    error_type="KeyError",
    error_message="'abc'",
    error_source="return table['abc']",
    tests=(Test("t1", False, "exception", "", "3"), Test("t2", False, "ok", "4", "5")),
)


@pytest.mark.parametrize(
    ("kind", "message", "template"),
    [
        ("AttributeError", "'list' object has no attribute 'foo'", "'list' object has no attribute 'foo'"),
        ("ModuleNotFoundError", "No module named 'numpy.linalg'", "No module named 'numpy.linalg'"),
        ("TypeError", "f() missing 1 required argument: 'x'", "f() missing <num> required argument: 'x'"),
        ("TypeError", "can't multiply by type 'float'", "can't multiply by type 'float'"),
        ("SyntaxError", "'(' was never closed (<string>, line 3)", "'(' was never closed"),
        ("KeyError", "'abc'", "<str>"),
        ("ValueError", "bad literal with base 10: 'a\\'b'", "bad literal with base <num>: <str>"),
        ("ValueError", "<Node at 0x7f00a1> is -3.5e-7, x1", "<Node at <addr>> is <num>, x1"),
    ],
)
def test_messages_keep_names_and_mask_values(kind: str, message: str, template: str) -> None:
    assert message_template(kind, message) == template


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("    return  a[ 5 ]   # the fifth", "return a [ <num> ]"),
        ("x = f'{a[\"k\"]}' + r'it#s' + 1e-5 + 0x1F", "x = <str> + <str> + <num> + <num>"),
        ("if n2 == 2 and y**2 // 3:", "if n2 == <num> and y ** <num> // <num> :"),
        ("print(a,", "print ( a ,"),
    ],
)
def test_source_lines_lose_layout_comments_and_literals(line: str, template: str) -> None:
    assert source_template(line) == template


def test_l1_ignores_values_and_layout_but_not_names() -> None:
    first = fingerprint(FAILURE)
    other_key = fingerprint(
        replace(FAILURE, error_message="'zz'", error_source="return  table['zz']  # x", task_id="u")
    )
    other_name = fingerprint(replace(FAILURE, error_source="return lookup['abc']"))
    assert first and other_key and other_name
    assert first.l0 == "call:KeyError"
    assert first.l1 == other_key.l1
    assert first.l1 != other_name.l1


def test_l2_tells_wrong_answers_apart_by_their_outputs() -> None:
    wrong = replace(FAILURE, phase="wrong", error_type="", error_message="", error_source="")
    same = fingerprint(replace(wrong, sample=3))
    other = fingerprint(replace(wrong, tests=(wrong.tests[0], Test("t2", False, "ok", "6", "5"))))
    first = fingerprint(wrong)
    assert first and same and other
    assert first.l0 == "wrong"
    assert first.l2 == same.l2 != other.l2
    assert first.l1 == other.l1


def test_the_assert_that_a_wrong_answer_broke_counts_for_l2_only() -> None:
    plain = replace(FAILURE, phase="wrong", error_type="", error_message="", error_source="")
    judged = replace(plain, error_type="AssertionError", error_message="line 3: f(1) == x")
    other = replace(plain, error_type="AssertionError", error_message="line 3: f(2) == y")
    marks = [fingerprint(row) for row in (plain, judged, other)]
    assert [mark.l0 for mark in marks if mark] == ["wrong"] * 3
    assert len({mark.l1 for mark in marks if mark}) == 1
    assert len({mark.l2 for mark in marks if mark}) == 3


def test_l2_ignores_addresses_in_outputs() -> None:
    def at(address: str) -> Row:
        return replace(FAILURE, tests=(Test("t", False, "ok", f"<object at {address}>", "1"),))

    assert fingerprint(at("0x7f01")) == fingerprint(at("0x55aa"))


@pytest.mark.parametrize("changes", [{"phase": "passed", "passed": True}, {"phase": "infra", "passed": None}])
def test_passes_and_faults_of_ours_have_no_fingerprint(changes: dict[str, object]) -> None:
    assert fingerprint(replace(FAILURE, **changes)) is None  # type: ignore[arg-type]


@given(st.text(), st.text(), st.text())
def test_any_text_yields_the_same_fingerprint_twice(kind: str, message: str, source: str) -> None:
    row = replace(FAILURE, error_type=kind, error_message=message, error_source=source)
    assert fingerprint(row) == fingerprint(row)


@pytest.mark.parametrize(
    "hostile", ["'" * 300_000, "\\'" * 300_000, "9" * 300_000, "(" * 300_000, " " * 300_000]
)
def test_hostile_text_takes_no_long_time(hostile: str) -> None:
    start = time.process_time()
    fingerprint(replace(FAILURE, error_type="TypeError", error_message=hostile, error_source=hostile))
    assert time.process_time() - start < 0.5
