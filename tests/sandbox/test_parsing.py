"""One parser for all of the host's threads."""

from __future__ import annotations

import ast
import gc
import sys
import threading

import pytest

from sandbox.parsing import parse, parse_expression

SOURCE = "\n".join(f"x{i} = [f({i}, [a, (b, {{c: {i}}})]) for a in y if a > {i}]" for i in range(300))


class Switching:
    """Collected in the middle of a parse, it lets other threads run there."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        for _ in range(50):
            pass


def test_threads_that_parse_at_once_do_not_disturb_each_other() -> None:
    """With `ast.parse` some of the runs end in SystemError on Python 3.11.7."""
    wrong: list[object] = []

    def parse_all() -> None:
        for _ in range(20):
            try:
                if len(parse(SOURCE).body) != 300:
                    wrong.append("not all of it")
            except SystemError as error:
                wrong.append(error)

    threads = [threading.Thread(target=parse_all) for _ in range(4)]
    threads.append(threading.Thread(target=lambda: [Switching() for _ in range(10_000)]))
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
    assert wrong == []


def test_it_is_pythons_parser() -> None:
    assert ast.dump(parse("a = 1\n")) == ast.dump(ast.parse("a = 1\n"))
    assert ast.literal_eval(parse_expression("[1, (2,)]")) == [1, (2,)]
    with pytest.raises(SyntaxError):
        parse("a =")
