"""Programs as the page shows them: true line numbers, whatever was left out."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from analysis.page.completions import timeline
from analysis.page.excerpts import LONGEST_PROGRAM, diff, excerpt
from analysis.reading.rows import Block


def numbered(pieces: list[list[int | str]]) -> dict[int, str]:
    return {
        int(first) + index: line for first, text in pieces for index, line in enumerate(str(text).split("\n"))
    }


def test_a_short_program_is_one_piece() -> None:
    assert excerpt("a = 1\r\nb = 2\n") == [[1, "a = 1\nb = 2\n"]]
    assert excerpt("") == [[1, ""]]


def test_the_failing_line_of_a_long_program_keeps_its_number() -> None:
    lines = [f"line_{number} = {number}" for number in range(1, 5001)]
    for hit in (1, 2500, 4990, 5000):
        shown = numbered(excerpt("\n".join(lines), hit))
        assert shown[hit] == lines[hit - 1]
        assert all(text == lines[number - 1] for number, text in shown.items())
        assert {1, max(1, hit - 10), 5000} <= shown.keys()


@given(st.lists(st.text(max_size=30), max_size=60), st.integers(-5, 100), st.integers(50, 600))
def test_any_excerpt_is_in_order_and_short(lines: list[str], hit: int, longest: int) -> None:
    program = "\n".join(lines)
    pieces = excerpt(program, hit, longest)
    starts = [int(first) for first, _ in pieces]
    assert starts == sorted(set(starts))
    shown = numbered(pieces)
    assert sum(len(text.replace("\\", "")) for text in shown.values()) <= 8 * longest  # escapes are longer
    assert len(shown) == sum(str(text).count("\n") + 1 for _, text in pieces)  # none overlap


def test_a_hostile_program_is_bounded() -> None:
    for program in ("x" * 1_000_000, "\n" * 1_000_000, "\x00\u202e" * 200_000, "\r" * 100_000):
        text = "".join(str(piece[1]) for piece in excerpt(program, 10**9))
        assert len(text) < 10 * LONGEST_PROGRAM
        assert "\x00" not in text and "\u202e" not in text


def test_a_lone_carriage_return_ends_a_line_as_it_does_for_python() -> None:
    program = "a = 1\rb = 2\r\nc = 3\x0c\nraise ValueError\n"
    assert numbered(excerpt(program, 4))[4] == "raise ValueError"


def test_a_diff_leaves_out_long_stretches_that_are_alike() -> None:
    before = [f"x{number}" for number in range(30)]
    rows = diff("\n".join(before), "\n".join([*before[:15], "new", *before[16:]]))
    assert [row for row in rows if row[0] in "+-"] == [["-", "x15"], ["+", "new"]]
    assert [row for row in rows if row[0] == "…"] == [["…", "9 lines alike"], ["…", "8 lines alike"]]
    assert diff("a\n", "a") == [[" ", "a"]]
    draw = random.Random(0)
    assert len(diff(*("\n".join(draw.choices("abc", k=5000)) for _ in range(2)))) <= 800


def test_remarks_are_found_between_blocks_that_were_indented() -> None:
    codes = ["def f(x):\n    return 1\n", "def f(x):\n    return 2\n"]
    item = "1. First:\n   ```python\n   def f(x):\n       return 1\n   ```\n   Wait, wrong.\n   ```python\n   def f(x):\n"
    completion = item + "       return 2\n   ```\nDone."
    parts = timeline(completion, [Block(code, None) for code in codes])
    assert [part.get("remark", "code") for part in parts] == [
        "1. First:",
        "code",
        "Wait, wrong.",
        "code",
        "Done.",
    ]
