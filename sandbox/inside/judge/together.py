"""Program and test in one process, as data sets' own graders run them: for tests that cannot be run apart.

Nothing here is hidden from a program that looks for it. But simple attempts do not count as right: ending the
process, raising, printing or writing frames. The one result frame bears a number that
the host made for this run:

    {"run": number, "passed": bool, "units": [{"name", "passed", "error"}...], "error": ErrorInfo data or null}
"""

from __future__ import annotations

import sys
import unittest
from types import ModuleType
from typing import Any

from sandbox.inside import wire
from sandbox.inside.candidate import program
from sandbox.inside.judge.judge import TEST_MODULE, compiled
from sandbox.inside.judge.seen import RECORD, ProgramFailure, Record, Unit, UnsupportedTest, error_data

_MODULE = "solution"


class _Record(Record):
    def describe(self, error: BaseException) -> dict[str, Any]:
        """An exception from within the program is a failed call; one of the test's own is a wrong value."""
        described = super().describe(error)
        frames = program.candidate_frames(error.__traceback__)
        if frames and not isinstance(error, AssertionError):
            described |= {"phase": "call", "frames": frames}
        return described


def main() -> None:
    payload = wire.read_payload()
    number = payload.pop("run")
    program._capture_output(payload["output_bytes"])
    record = _Record(report=lambda: None)
    passed, ended_by = False, None
    try:
        passed = _run(payload, record)
    except (ProgramFailure, UnsupportedTest):
        ended_by = record.failure or error_data("UnsupportedTest", str(record.unsupported), "import")
    except BaseException as raised:  # noqa: BLE001 - the boundary to program and test
        ended_by = record.describe(raised)
    units = [unit.data(credit=ended_by is None) for unit in record.units]
    error = ended_by or next((unit["error"] for unit in units if unit["error"]), None)
    wire.send(wire.RESULTS, {"run": number, "passed": passed, "units": units, "error": error})


def _run(payload: dict[str, Any], record: Record) -> bool:
    plan, entry_point = payload["plan"], payload["entry_point"]
    if "broken" in plan:
        record.refuse(plan["broken"])
    module, failure = program.load(payload["program"], _MODULE, "import", payload["prelude"])
    if module is None:
        assert failure is not None
        record.spoil(failure["type"], failure["message"], failure["phase"], failure["frames"])
    namespace = vars(module)
    if entry_point and entry_point.partition(".")[0] not in namespace:
        record.spoil("NameError", f"the program defines no {entry_point!r}", "entry")
    for name, value in _helpers(plan["helpers"]).items():
        namespace.setdefault(name, value)
    for name in ("__main__", TEST_MODULE, *plan["modules"]):
        sys.modules[name] = module
    ended = _run_test(payload, module, record)
    if ended and not any(unit.executions for unit in record.units):
        record.spoil("NoAssert", "the test came to its end without an assert", "wrong")
    return ended


def _run_test(payload: dict[str, Any], module: ModuleType, record: Record) -> bool:
    plan, namespace = payload["plan"], vars(module)
    record.asserting = frozenset(plan["asserting"])
    namespace[RECORD] = record
    if payload["kind"] == "pytest":
        from sandbox.inside.judge.with_pytest import run_pytest

        wanted = {name: namespace[name] for name in plan["wanted"] if name in namespace}
        return run_pytest(plan["test"], wanted, record)
    if payload["kind"] == "unittest":
        from sandbox.inside.judge.with_unittest import run_unittest

        before = dict(namespace)
        exec(compiled(plan["test"]), namespace)
        tests = ModuleType(TEST_MODULE)  # without test cases that the program brought along
        for name, value in namespace.items():
            if _is_test_case(value) and before.get(name) is not value:
                setattr(tests, name, value)
        return run_unittest(tests, record)
    record.units = [Unit(name) for name in plan["asserts"]]
    exec(compiled(plan["test"]), namespace)
    if payload["kind"] == "check":
        namespace["check"](namespace[payload["entry_point"]])
    return not record.resumed


def _is_test_case(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, unittest.TestCase)


def _helpers(statements: list[str]) -> dict[str, Any]:
    """What the test's prompt defines and what it leaves to be imported; a program may lack it."""
    namespace: dict[str, Any] = {}
    for statement in statements:
        try:
            exec(compile(statement, "<prompt>", "exec", dont_inherit=True), namespace)
        except ImportError:
            continue
    return {name: value for name, value in namespace.items() if not name.startswith("__")}
