"""The judge's own objects on their way to the program: functions to call, and nothing else."""

from __future__ import annotations

import sys
import types
from typing import Any

from sandbox.inside.bridge import about
from sandbox.inside.judge import lent
from sandbox.inside.judge.descriptions import Descriptions
from sandbox.inside.judge.proxies import TOLD, CandidateClass, Proxy
from sandbox.inside.judge.seen import Record
from sandbox.inside.values.codec import CodecError, Encoder


class Passed(Descriptions):
    def __init__(self, descriptor: int, record: Record) -> None:
        super().__init__(descriptor, record)
        self._failed_assert: AssertionError | None = None  # of the test's, raised within the program's call

    def describe(self, value: Any) -> object | None:
        if isinstance(value, CandidateClass):
            return {"mine": value._coderl_class_handle}
        if isinstance(value, Proxy):
            return {"mine": value._coderl_handle}
        if isinstance(value, BaseException):
            return self.describe_error(value)
        if type(value) is types.FunctionType:
            return {"h": self.handles.number(value), "binds": True, "texts": about.of_function(value)}
        if (can := lent.can(value)) is not None:
            return {"h": self.handles.number(value), "can": can}
        if hasattr(type(value), "__next__"):
            return {"h": self.handles.number(value), "iterator": True}
        if callable(value):
            return {"h": self.handles.number(value), "texts": about.of_function(value)}
        self.record.refuse(f"the test passes an object of {type(value).__qualname__}, which cannot cross")

    def describe_error(self, error: BaseException) -> object:
        handle = vars(error).get("_coderl_handle")
        if handle is not None:
            return {"mine": handle}
        if not isinstance(error, (Exception, KeyboardInterrupt, SystemExit, GeneratorExit)):
            if self.record.unsupported is None and self.record.failure is None:
                self.record.unsupported = f"the test raised {type(error).__name__} into the program"
            raise error
        args = () if isinstance(error, AssertionError) else error.args  # its text may hold what is expected
        return {
            "error": [f"{base.__module__}:{base.__qualname__}" for base in type(error).__mro__[:-1]],
            "args": self.encoder().node(args),
            "has": self.encoder().node(_own_attributes(error)),
            "h": self.handles.number(error),
        }

    def perform(self, do: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        if (
            do not in ("call", "use", *TOLD.values())
            or len(args) < 1 + (do == "use")
            or args[0] not in self.handles
        ):
            self.record.spoil("BrokenProtocol", "the program asked for what it was not given")
        function, *rest = args
        try:
            if do == "use":
                operation, *rest = rest
                return lent.use(function, operation, tuple(rest), kwargs, self._is_plain)
            if do != "call":
                return getattr(about, do)(function)
            if lent.can(function) is None and hasattr(type(function), "__next__"):
                return next(function)
            return function(*rest, **kwargs)
        except AssertionError as failed:
            self._failed_assert = failed
            raise
        except lent.NotLent as problem:
            self.record.spoil("BrokenProtocol", f"the program asked for {problem}")

    def _is_plain(self, value: object) -> bool:
        def own(found: object) -> object:
            if found not in self.handles:
                raise CodecError("an object of the program's")
            return {"foreign": 0}

        try:
            Encoder(foreign=lambda encoder, found, depth: own(found), wide=True).node(value)
        except CodecError:
            return False
        return True

    def check_swallowed(self, error: Exception | None) -> None:
        """The program may not catch a failed assert in a function that the test passed to it."""
        failed, self._failed_assert = self._failed_assert, None
        if failed is not None and failed is not error:
            self.record.spoil("AssertionError", str(failed), "wrong")


def _own_attributes(error: BaseException) -> dict[str, object]:
    """What a class of the standard library's gave its error beside its arguments."""
    if type(error).__module__.partition(".")[0] not in sys.stdlib_module_names:
        return {}
    kinds = (type(None), bool, int, float, str, bytes)
    return {name: value for name, value in vars(error).items() if type(value) in kinds and name[:1] != "_"}
