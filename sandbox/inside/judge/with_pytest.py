"""Runs a pytest file in the judge's process, under pytest-timeout, and pytest-asyncio where it is asynchronous."""

from __future__ import annotations

import builtins
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.inside.judge.proxies import TEST_FILES
from sandbox.inside.judge.seen import RECORD, ProgramFailure, Record, Unit, UnsupportedTest, error_data

if TYPE_CHECKING:
    from sandbox.inside.bridge.environment import JudgeSide

# Plugins only by name; nothing of the machine's configuration; the file's own asserts explained.
_OPTIONS = [
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:faulthandler",
    "--rootdir=.",
    "--confcutdir=.",
    "--import-mode=importlib",  # no folder that a program's files reach is looked in for modules
    "-c",
    os.devnull,
]


class _Reporter:
    """One unit a test function; its parametrized cases belong to it."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._units: dict[str, Unit] = {}
        self._decided_alone = False  # what to skip, as far as the test's import decides it
        self._told_before = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for name in map(_function_name, items):
            self._units[name] = Unit(name)
        self._record.units += self._units.values()
        self._decided_alone = self._record.told == 0

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            phase = "entry" if self._record.missing else "wrong"
            unit = Unit("collection", executions=1)
            unit.error = error_data("CollectError", str(report.longrepr), phase)
            self._record.units.append(unit)

    def pytest_runtest_logstart(self) -> None:
        self._told_before = self._record.told

    @pytest.hookimpl(hookwrapper=True)  # the form that Debian's pytest 7.2 knows too
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        unit = self._units[_function_name(item)]
        self._record.reporting = True  # pytest's own report shows values, too
        try:
            report: pytest.TestReport = (yield).get_result()
            if self._is_left_out(item, report):
                unit.skipped = True
            else:
                if not report.passed or hasattr(report, "wasxfail"):
                    self._fail(unit, report, call)
                if report.when == "call":
                    self._record.succeeded(unit)
        finally:
            self._record.reporting = False
        if report.when == "teardown":
            failure = self._record.end_unit()
            if not self._expects_failure(item):
                unit.error = unit.error or failure
            self._record.last_value = None
            self._record.progress()

    def _is_left_out(self, item: pytest.Item, report: pytest.TestReport) -> bool:
        """Whether the test skips this, or expects it to fail, with no say of the program's in that."""
        if not self._decided_alone or report.failed:
            return False
        if hasattr(report, "wasxfail") and self._expects_failure(item):
            return True
        return report.skipped and self._record.told == self._told_before

    def _expects_failure(self, item: pytest.Item) -> bool:
        return self._decided_alone and item.get_closest_marker("xfail") is not None

    def _fail(self, unit: Unit, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        if unit.error is not None:
            return
        unit.value = self._record.returned()
        if call.excinfo is not None and not isinstance(call.excinfo.value, pytest.skip.Exception):
            unit.error = self._record.describe(call.excinfo.value)
        else:
            unit.error = error_data("SkipTest", f"{report.outcome}: a skip is no pass", "wrong")


def _function_name(item: pytest.Item) -> str:
    names = item.nodeid.split("::")[1:]
    return "::".join([*names[:-1], getattr(item, "originalname", None) or names[-1]])


def run_pytest(
    test: str, namespace: dict[str, Any], record: Record, environment: JudgeSide | None = None
) -> bool:
    """Whether every test function of `test` passed, except those that it leaves out itself.

    The name of a test's folder does not contain its parameters, which the program must not learn.
    What the file reads without defining it (the prompt's helpers, the program's names) are builtins to it.
    """
    for name, value in namespace.items():
        if not name.startswith("__"):
            setattr(builtins, name, value)
    setattr(builtins, RECORD, record)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    folders = sys.modules["_pytest.tmpdir"]
    vars(folders)["_mk_tmp"] = lambda request, factory: factory.mktemp("test", numbered=True)
    path = os.path.join(tempfile.mkdtemp(), TEST_FILES[1])
    if environment is not None:
        environment.hide(os.path.relpath(path))
    with open(path, "w", encoding="utf-8") as file:
        file.write(test)
    options = [*_OPTIONS, "-p", "pytest_timeout"]
    if "async" in test:
        options += ["-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto"]
    try:
        code = pytest.main([*options, path], plugins=[_Reporter(record)])
    except (ProgramFailure, UnsupportedTest):
        return False  # on record
    record.check_asserted()
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        for unit in record.units:
            unit.executions = 0  # what ended it may have come before a test's end was known
        if code == pytest.ExitCode.INTERNAL_ERROR:
            record.units.append(Unit("pytest", executions=1))
            record.units[-1].error = error_data("InternalError", "pytest did not come to its end", "wrong")
    return code == pytest.ExitCode.OK and all(unit.error is None for unit in record.units)


def compare_no_array_with_a_number() -> None:
    """To `approx` an empty array is any number."""
    scalar: Any = type(pytest.approx(1.0))
    is_close = scalar.__eq__

    def __eq__(self: Any, actual: object) -> bool:
        numpy = sys.modules.get("numpy")
        is_empty = numpy is not None and isinstance(actual, numpy.ndarray) and actual.size == 0
        return not is_empty and is_close(self, actual)

    scalar.__eq__ = __eq__
