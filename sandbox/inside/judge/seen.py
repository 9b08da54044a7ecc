"""Records how the test's asserts ended, and the first thing that no test may excuse."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic  # by name: a test may have patched the module's
from typing import Any, NoReturn

from sandbox.inside.judge import loops, sizes
from sandbox.inside.values.codec import CodecError, encode

RECORD = "__coderl_record__"  # the name under which an instrumented test finds its `Record`
_VALUE_BYTES = 64 * 1024
_TEXT = 2_000
_REPORT_SECONDS = 0.1


class ProgramFailure(BaseException):
    """The program did what fails every test, even one that swallows this."""


class UnitFailure(ProgramFailure):
    """The program did what fails the unit in which it happened, even if that swallows this; the others go on."""


class UnsupportedTest(BaseException):
    """The test needs what a separate process cannot give it; no verdict on the program is possible."""


class NotAsked(Exception):
    """Code that reports a failure tried to ask the program something, such as its text."""


class Unit:
    """One static assert, or one test function: all its executions must hold.

    An execution counts once its end is known: what ends the judge before that leaves no credit.
    """

    def __init__(self, name: str, executions: int = 0) -> None:
        self.name = name
        self.skipped = False  # by the test itself, before the program told it anything
        self.executions = executions
        self.error: dict[str, Any] | None = None
        self.asserted = False  # of a test function: an assertion was carried out
        self.value: str | None = None  # what the program returned last before the first failure, encoded

    def data(self, credit: bool) -> dict[str, Any]:
        passed = credit and self.executions > 0 and self.error is None
        return {"name": self.name, "passed": passed, "error": self.error, "value": self.value}


def error_data(type_name: str, message: str, phase: str, frames: object = ()) -> dict[str, Any]:
    """An `ErrorInfo` as the result frame holds it."""
    return {"type": type_name[:200], "message": message[:_TEXT], "phase": phase, "frames": frames}


class Record:
    # What ends an assert and not the test; for instrumented tests, which may give the names another meaning.
    Exception = (Exception, UnitFailure)

    def __init__(self, report: Callable[[], None]) -> None:
        """`report` tells the host that the test goes on."""
        self.units: list[Unit] = []
        self.wanted: frozenset[str] = frozenset()  # names that the program should define
        self.missing: set[str] = set()  # those that it was asked for and does not define
        self.requests = 0
        self.looked_up = 0  # of these: functions and classes found by name, which say nothing else
        self.last_value: object = None
        self.resumed = False  # an assert failed, and the test went on only to see the others
        self.failure: dict[str, Any] | None = None
        self.unit_failure: dict[str, Any] | None = None  # of the unit that runs
        self.unsupported: str | None = None
        self.asserting: frozenset[str] = frozenset()  # test functions that hold an assertion
        self.asserted = False  # since the last test function
        self.watching = 0  # loops that go on with asserts in them
        self.reporting = False  # a failure is being described: the program is not asked for anything
        self._report = report
        self._reported = 0.0

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """While a failure is described: nothing that this comes to asks the program."""
        before, self.reporting = self.reporting, True
        try:
            yield
        finally:
            self.reporting = before

    @property
    def told(self) -> int:
        """How often the program told the test anything by which it could decide what to do."""
        return self.requests - self.looked_up

    def spoil(self, type_name: str, message: str, phase: str = "call", frames: object = ()) -> NoReturn:
        """Fails the whole test, even if the test swallows it."""
        if self.failure is None:
            self.failure = error_data(type_name, message, phase, frames)
        raise ProgramFailure(message)

    def fail_unit(self, type_name: str, message: str) -> NoReturn:
        """Fails the unit that runs, and so the test; the units after it count."""
        if self.unit_failure is None:
            self.unit_failure = error_data(type_name, message, "wrong")
        raise UnitFailure(message)

    def end_unit(self) -> dict[str, Any] | None:
        """How the unit that ends here failed by `fail_unit`, if it did, even if it swallowed that."""
        failure, self.unit_failure = self.unit_failure, None
        self.resumed |= failure is not None
        return failure

    def refuse(self, why: str) -> NoReturn:
        if self.unsupported is None:
            self.unsupported = why
        raise UnsupportedTest(why)

    def check_intact(self) -> None:
        """Before the program is asked: raises again what a test may have swallowed."""
        if self.failure is not None:
            raise ProgramFailure(self.failure["message"])
        if self.unsupported is not None:
            raise UnsupportedTest(self.unsupported)
        if self.unit_failure is not None:
            raise UnitFailure(self.unit_failure["message"])
        if self.reporting:
            raise NotAsked("not while a failure is described")

    # Called by marks (see marks.py).

    def ran(self, value: object = None) -> Any:
        """An assertion was carried out."""
        self.asserted = True
        return value

    def watch(self) -> None:
        self.watching += 1

    def loop(self, _: None, iterable: Iterable[Any]) -> Iterator[Any]:
        """What an assert is made of each item of; `watch` was called before there was an iterable."""
        try:
            yield from iterable
        finally:
            self.watching -= 1

    def zip(self, theirs: tuple[bool, ...], *operands: Any, strict: bool = False) -> Iterator[Any]:
        return zip(*operands, strict=True) if strict else loops.paired(theirs, operands)

    def map(self, theirs: tuple[bool, ...], function: Any, *operands: Any) -> Iterator[Any]:
        return loops.mapped(function, theirs, operands)

    def compare(self, how: str, first_is_theirs: bool, one: Any, other: Any) -> Any:
        """An operator between a value of the program's and one of the test's, each item for itself if it is numpy's."""
        return sizes.OPERATORS[how](*sizes.check(how, first_is_theirs, one, other))

    def sized(self, how: str, first_is_theirs: bool, one: Any, other: Any) -> tuple[Any, Any]:
        """Operands of a function of numpy's."""
        return sizes.check(how, first_is_theirs, one, other)

    def to_run(self, how: str, text: Any) -> Any:
        """What the program gave, on its way to `eval`, `exec` or `compile`: values may pass, code may not."""
        from sandbox.inside.judge.expressions import is_value  # where a test does so

        frame = sys._getframe(1)
        if how == "eval" and isinstance(text, str):
            text = str.__str__(text)
            if is_value(text, {**vars(builtins), **frame.f_globals, **frame.f_locals}):
                return text
        self.refuse(f"the test would run in the judge what the program gave, by {how}")

    def runner(self, how: str) -> Callable[..., Any]:
        """`eval`, `exec` or `compile` for texts that may be the program's: literals may pass, all else may not."""

        def run(text: Any, *_: Any, **__: Any) -> Any:
            import ast  # where a test does so

            if how == "eval" and type(text) is str:
                with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                    return ast.literal_eval(text.strip())
            self.refuse(f"the test may run in the judge what the program gave, by {how}")

        return run

    def succeeded(self, unit: Unit) -> None:
        """An execution of a test function came to its end."""
        unit.executions += 1
        unit.asserted |= self.asserted
        self.asserted = False

    def check_asserted(self) -> None:
        """A test function that holds assertions and never carried one out has shown nothing."""
        for unit in self.units:
            name = unit.name.replace("::", ".").rpartition(".")[2]
            if name in self.asserting and unit.executions and not unit.asserted and unit.error is None:
                unit.error = error_data("NoAssert", "it came to its end without an assert", "wrong")

    # Called by instrumented asserts (see instrument.py).

    def held(self, number: int) -> None:
        if (failure := self.end_unit()) is not None:
            self._fail(self.units[number], failure)
            return
        self.units[number].executions += 1
        self.last_value = None
        self.progress()

    def failed(self, number: int, resumed: bool) -> None:
        """A false assert; the unmodified test would have ended here where this one is resumed."""
        unit = self.units[number]
        self.resumed |= resumed
        self._fail(unit, self.end_unit() or error_data("AssertionError", unit.name, "wrong"))

    def raised(self, number: int) -> None:
        error = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
        assert error is not None
        self.resumed = True
        self._fail(self.units[number], self.end_unit() or self.describe(error))

    def _fail(self, unit: Unit, error: dict[str, Any]) -> None:
        unit.executions += 1
        if unit.error is None:
            unit.error = error
            unit.value = self.returned()
        self.last_value = None
        self.progress()

    def progress(self) -> None:
        now = monotonic()
        if now > self._reported + _REPORT_SECONDS:
            self._reported = now
            self._report()

    def returned(self) -> str | None:
        """What the program returned last since an assert, encoded; None where it is too large to keep."""
        try:
            return encode(self.last_value, max_bytes=_VALUE_BYTES)
        except (CodecError, RecursionError):
            return None

    def describe(self, error: BaseException) -> dict[str, Any]:
        """An exception that ended the test, or an assert of it. Asks the program nothing, and raises nothing."""
        if isinstance(error, ProgramFailure) and (failure := self.failure or self.unit_failure) is not None:
            return failure
        with self.quiet():
            try:
                text = str(error)
            except BaseException as problem:  # noqa: BLE001 - any class of exception has its own __str__
                text = f"<no text: {type(problem).__name__}>"
        frames = vars(error).get("_coderl_frames")
        if frames is not None:
            phase = "call"
        elif _missing_name(error) in self.wanted:
            phase, frames = "entry", ()
        else:  # a value that the test could not use, or its own assertion
            phase, frames = "wrong", ()
        return error_data(type(error).__name__, text, phase, frames)


def _missing_name(error: BaseException) -> str | None:
    """What Python says was missing; an exception of the program's may have another idea of its `name`."""
    for kind in (NameError, ImportError, AttributeError):
        if isinstance(error, kind):
            name = vars(kind)["name"].__get__(error)
            return name if type(name) is str else None
    return None
