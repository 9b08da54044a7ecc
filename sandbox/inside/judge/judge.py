"""The judge's process: runs a test that drives the program through proxies, and says what came of it.

The program is in another process; nothing of it runs here. A test passes when it reached its end unmodified, with
at least one assert (or test function) carried out and the program asked at least once. The one result frame says so
explicitly: without that frame there is no pass.

    {"passed": bool, "requests": int, "units": [{"name", "passed", "error", "value"}...],
     "error": ErrorInfo data or null, "unsupported": str or null}

Before it come `{"progress": true}` frames: limits of time count from the last of them. Where the payload has no
code of the test for this interpreter, `{"code": [interpreter, base64]}` comes first, for later judges of the test.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import marshal
import sys
from types import CodeType, ModuleType
from typing import Any

from sandbox.inside import wire
from sandbox.inside.judge.candidate import Candidate
from sandbox.inside.judge.descriptions import frames
from sandbox.inside.judge.proxies import is_opaque
from sandbox.inside.judge.seen import RECORD, ProgramFailure, Record, Unit, UnsupportedTest, error_data

TEST_MODULE = "test_solution"


class CandidateModule(ModuleType):
    """The program under the name by which the test imports it."""

    def __init__(self, name: str, judge: Judge) -> None:
        super().__init__(name)
        vars(self)["_coderl_judge"] = judge
        vars(self)["__path__"] = []

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return sorted(self._coderl_judge.names)
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._coderl_judge.look_up(name, self)
        return _standard_module(found) or found

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("__"):  # the import system's own
            vars(self)[name] = value
            return
        self._coderl_judge.candidate.ask("set", name, value)

    def __delattr__(self, name: str) -> None:
        self._coderl_judge.candidate.ask("delete", name)


class Judge:
    def __init__(self, payload: dict[str, Any], candidate: Candidate, record: Record) -> None:
        self.kind: str = payload["kind"]
        self.owner: str = payload["owner"]  # the class whose method the entry point is, if it is one
        self.entry_point: str = payload["entry_point"]
        self.plan: dict[str, Any] = payload["plan"]  # see sandbox/jobs/instrument.py
        self.code: CodeType | None = None  # of the test, if it is there already
        self.candidate = candidate
        self.record = record
        self.helpers: dict[str, Any] = {}
        self.names: dict[str, Any] = {}  # what the program provides of what it owes
        self.lacks: str | None = (
            None  # a package that the test imports; found out before the program is heard
        )
        self._requests_before = 0  # the test's own are those after

    def run(self) -> bool:
        """Whether the test passed. Raises what ended it."""
        if "broken" in self.plan:
            self.record.refuse(self.plan["broken"])
        self.lacks = next((name for name in self.plan["imports"] if not _is_there(name)), None)
        if self.lacks is not None:
            self.record.refuse(f"the test imports {self.lacks!r}, which is not here")
        self.record.wanted = frozenset(self.plan["wanted"])
        self.record.asserting = frozenset(self.plan["asserting"])
        self.candidate.class_names = frozenset(self.plan["classes"])
        namespace = self._namespace()
        self._share_environment()
        self._guard_library()
        given = self._load_program()
        self.candidate.hear_names(given)
        self.candidate.keeps = self.candidate.has_classes
        # Only what it was asked for: any other name would replace one of Python's in the test.
        self.names = {name: given[name] for name in self.plan["wanted"] if name in given}
        if (owed := self.owner or self.entry_point) and owed not in self.names:
            self.record.spoil("NameError", f"the program defines no {owed!r}", "entry")
        if self.owner:
            self.names[self.entry_point] = _method(self.names[self.owner], self.entry_point)
        namespace |= self.names
        for name in self.plan["modules"]:
            if not _exists(name):
                sys.modules[name] = CandidateModule(name, self)
        self._requests_before = self.record.requests
        self.record.looked_up += all(map(is_opaque, self.names.values()))
        run = {"script": self._run_script, "check": self._run_script}.get(self.kind, self._run_tests)
        ended = run(namespace)
        self.record.check_intact()
        # What the test itself left out counts neither way.
        self.record.units = [unit for unit in self.record.units if unit.executions or not unit.skipped]
        if ended and not self.record.units:
            self.record.refuse("the test holds no assert and no test function")
        if ended and not any(unit.executions for unit in self.record.units):
            self.record.spoil("NoAssert", "the test came to its end without an assert", "wrong")
        return ended

    def _share_environment(self) -> None:
        if not self.plan["shares"]:
            return
        from sandbox.inside.bridge.environment import JudgeSide  # only for tests that name any of it

        own = frozenset(self.plan["modules"])
        self.candidate.environment = JudgeSide(self.plan["shares"], self.plan["test"], own)

    def _guard_library(self) -> None:
        """What the test has a library do with the program's values: run none of its code, ask it for no verdict."""
        if "files" in self.plan["shares"] or "pickle" in self.plan["test"] or "shelve" in self.plan["test"]:
            from sandbox.inside.judge.unpickling import guard

            guard(self.candidate.known)
        if "Enum" in self.plan["test"] or "Flag" in self.plan["test"]:
            from sandbox.inside.judge.extending import let_enums_be_extended

            let_enums_be_extended()
        if "json" in self.plan["test"] and self.candidate.has_classes:
            import json.encoder  # in Python: in C it looks past the methods of a dict of the program's

            json.encoder.c_make_encoder = None  # type: ignore[attr-defined]
        if "Protocol" in self.plan["test"]:
            from sandbox.inside.judge.extending import let_protocols_ask

            let_protocols_ask()
        if "approx" in self.plan["test"]:
            from sandbox.inside.judge.with_pytest import compare_no_array_with_a_number

            compare_no_array_with_a_number()
        if "assertSetEqual" in self.plan["test"]:
            from sandbox.inside.judge.with_unittest import compare_sets_by_items

            compare_sets_by_items()

    def look_up(self, name: str, module: object) -> Any:
        """A name of the program's module: a helper of the prompt's stays the prompt's."""
        if name in self.helpers and name != self.entry_point:
            return self.helpers[name]
        if self.owner and name == self.entry_point:
            return self.names[name]
        found = self.candidate.ask("names", [name])
        if type(found) is not dict or name not in found:
            self.record.missing.add(name)
            raise AttributeError(f"the program defines no {name!r}", name=name, obj=module)
        self.candidate.hear_names(found)
        self.record.looked_up += is_opaque(found[name])
        return found[name]

    def _load_program(self) -> dict[str, Any]:
        """What the program provides, by name."""
        answer = self.candidate.ask(
            "load", self.plan["wanted"], list(self.candidate.known), self.candidate.has_classes
        )
        if type(answer) is not tuple or len(answer) != 2 or type(answer[1]) is not dict:
            self.record.spoil("BrokenProtocol", "malformed names")
        failure: Any = answer[0]
        given: dict[str, Any] = answer[1]
        if failure is None:
            return given
        fields = failure if type(failure) is dict else {}
        type_name, message, phase = (str(fields.get(key)) for key in ("type", "message", "phase"))
        if phase not in ("compile", "import"):
            phase = "import"
        self.record.spoil(type_name, message, phase, frames(fields.get("frames")))

    def _namespace(self) -> dict[str, Any]:
        """The globals of the test, with the prompt's helpers in them."""
        module = sys.modules[TEST_MODULE] = ModuleType(TEST_MODULE)
        namespace = vars(module)
        namespace[RECORD] = self.record
        for statement in self.plan["helpers"]:
            try:
                exec(compile(statement, "<prompt>", "exec", dont_inherit=True), namespace)
            except ImportError:  # of what the program may need, and the helpers may not
                continue
        self.helpers = {name: value for name, value in namespace.items() if not name.startswith("__")}
        for name, value in self.helpers.items():
            if isinstance(value, type) and (value.__module__, value.__name__) == (TEST_MODULE, name):
                self.candidate.known[name] = value
        return namespace

    def _run_script(self, namespace: dict[str, Any]) -> bool:
        self.record.units = [Unit(name) for name in self.plan["asserts"]]
        exec(self.code or compiled(self.plan["test"]), namespace)
        if self.kind == "check":
            namespace["check"](self.names[self.entry_point])
        return not self.record.resumed

    def _run_tests(self, namespace: dict[str, Any]) -> bool:
        if self.kind == "pytest":
            from sandbox.inside.judge.with_pytest import run_pytest  # loaded where it is needed

            return run_pytest(self.plan["test"], namespace, self.record, self.candidate.environment)
        from sandbox.inside.judge.with_unittest import run_unittest

        exec(self.code or compiled(self.plan["test"]), namespace)
        return run_unittest(sys.modules[TEST_MODULE], self.record)

    def result(self) -> dict[str, Any]:
        """Runs the test; the result frame."""
        record = self.record
        passed, ended_by = False, None
        try:
            passed = self.run()
        except (ProgramFailure, UnsupportedTest):
            pass  # on record
        except BaseException as error:  # noqa: BLE001 - the boundary to the test
            ended_by = record.describe(error)
        ended_by = record.failure or record.unit_failure or ended_by
        failed = ended_by or next((unit.error for unit in record.units if unit.error), None)
        unsupported = record.unsupported or self._unused(failed)
        if unsupported is not None:
            ended_by = failed = error_data("UnsupportedTest", unsupported, "import")
            passed = False
        units = record.units
        if passed:  # it may have tried an assert, and lived with its failure
            units, failed = [Unit(unit.name, executions=1) for unit in units], None
        return {
            "passed": passed,
            "requests": record.requests,
            "units": [unit.data(credit=ended_by is None) for unit in units],
            "error": failed,
            "unsupported": unsupported,
            "lacks": self.lacks,
        }

    def _unused(self, failed: dict[str, Any] | None) -> str | None:
        """A test that never used the program says nothing about it, unless the program failed to provide something."""
        if self.record.requests > self._requests_before or self.record.failure is not None:
            return None
        if failed is not None and failed["phase"] != "wrong":
            return None
        cause = f": {failed['type']}: {failed['message']}" if failed else ""
        return f"the test never used the program{cause}"


def _method(owner: Any, name: str) -> Any:
    """What the test calls by the method's name: that method of a fresh object."""

    def method(*args: Any, **kwargs: Any) -> Any:
        return getattr(owner(), name)(*args, **kwargs)

    method.__name__ = name
    return method


def _standard_module(found: object) -> ModuleType | None:
    """The judge's own of a standard module that the program imported, as tests patch it by way of the program."""
    if not is_opaque(found) or type(found).__name__ != "module":
        return None
    name = getattr(found, "__name__", None)
    if type(name) is not str or name.partition(".")[0] not in sys.stdlib_module_names:
        return None
    return sys.modules.get(name)


@functools.cache
def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _is_there(module: str) -> bool:
    return module in sys.modules or _exists(module)


def compiled(test: str) -> CodeType:
    return compile(test, "<test>", "exec", dont_inherit=True)


def code_of(payload: dict[str, Any]) -> CodeType | None:
    """The test's code, from an earlier judge or for later ones; None where the test cannot have any."""
    if payload["kind"] == "pytest" or "broken" in payload["plan"]:
        return None
    interpreter, text = payload.get("code", (None, ""))
    if interpreter == sys.version:
        code: CodeType = marshal.loads(base64.b64decode(text))
        return code
    try:
        code = compiled(payload["plan"]["test"])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the test's run says so, at its time
    if interpreter is None:
        wire.send(wire.RESULTS, {"code": [sys.version, base64.b64encode(marshal.dumps(code)).decode()]})
    return code


def main() -> None:
    payload = wire.read_payload()
    record = Record(report=lambda: wire.send(wire.RESULTS, {"progress": True}))
    judge = Judge(payload, Candidate(wire.RPC, record), record)
    judge.code = code_of(payload)
    wire.send(wire.RESULTS, judge.result())
