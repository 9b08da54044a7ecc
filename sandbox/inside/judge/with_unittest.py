"""Runs a test module's unittest classes in the judge's process."""

from __future__ import annotations

import unittest
from types import ModuleType
from typing import Any

from sandbox.inside.judge.proxies import is_opaque
from sandbox.inside.judge.seen import Record, Unit, error_data


def run_unittest(module: ModuleType, record: Record) -> bool:
    """Whether all tests of `module` passed, except those that it leaves out itself."""
    result = UnitTestResult(record, module.__name__)
    unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    record.check_asserted()
    return result.wasSuccessful() and all(unit.error is None for unit in record.units)


def compare_sets_by_items() -> None:
    """`assertSetEqual` would have a method of the program's object say whether the expected items are its own."""
    compare = unittest.TestCase.assertSetEqual

    def assertSetEqual(self: unittest.TestCase, first: Any, second: Any, msg: Any = None) -> None:
        compare(self, _items(first), _items(second), msg)

    unittest.TestCase.assertSetEqual = assertSetEqual  # type: ignore[method-assign, assignment]


def _items(value: Any) -> Any:
    return set(iter(value)) if is_opaque(value) and hasattr(value, "difference") else value


class UnitTestResult(unittest.TestResult):
    """One unit a test method; subtests belong to theirs."""

    def __init__(self, record: Record, module: str) -> None:
        super().__init__()
        self._module = module
        self._record = record
        self._units: dict[str, Unit] = {}
        self._decided_alone = record.told == 0  # what to skip, as far as the test's import decides it
        self._told_before = record.told

    def _unit(self, test: unittest.TestCase) -> Unit:
        name = test.id().removeprefix(f"{self._module}.")
        if name not in self._units:
            self._units[name] = Unit(name)
            self._record.units.append(self._units[name])
        return self._units[name]

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._record.last_value = None
        self._record.asserted = False
        self._unit(test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._record.succeeded(self._unit(test))

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        if (failure := self._record.end_unit()) is not None:
            self._fail(test, failure)
        self._told_before = self._record.told

    def _leave_out(self, test: unittest.TestCase) -> None:
        unit = self._unit(test)
        unit.skipped = True
        unit.executions -= unit.executions > 0

    def _fail(self, test: unittest.TestCase, error: dict[str, Any]) -> None:
        unit = self._unit(test)
        unit.executions += 1
        if unit.error is None:
            unit.error, unit.value = error, self._record.returned()

    def addError(self, test: Any, err: Any) -> None:
        with self._record.quiet():  # its text of the failure shows values, too
            super().addError(test, err)
        self._fail(test, self._record.describe(err[1]))

    def addFailure(self, test: Any, err: Any) -> None:
        with self._record.quiet():  # its text of the failure shows values, too
            super().addFailure(test, err)
        self._fail(test, self._record.describe(err[1]))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        with self._record.quiet():
            super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, self._record.describe(err[1]))

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        if self._decided_alone and self._record.told == self._told_before:
            self._leave_out(test)
        else:
            self._fail(test, error_data("SkipTest", reason, "wrong"))

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        with self._record.quiet():
            super().addExpectedFailure(test, err)
        if self._decided_alone:
            self._leave_out(test)
        else:
            self._fail(test, error_data("ExpectedFailure", "a test that is expected to fail", "wrong"))

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._fail(test, error_data("UnexpectedSuccess", "a test that is expected to fail", "wrong"))
