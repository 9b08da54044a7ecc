"""The candidate's process under a judge: loads the program, then does what the judge asks of it.

Nothing here is trusted: the program shares this process and may replace any of it. It can then give the judge any
answer, but no more than its functions could have returned.

    describe(value), program to judge                                 the judge gets
    {"mine": n}                                                       its own n-th handle's object
    {"known": name}, {"instance": name}, {"member": [name, member]}   a class that the task's own code defines,
    {"tuple": [name, node]}                                           an instance of it, of an Enum, of a named tuple
    {"class": n, "name": str, "bases": [<class>...], "has": [str...]}  a class
    {"class": n}                                                      the same, once described
    "module:Name module:Base ..."                                     an exception class not the program's own
    {"h": n, "of": <class>}                                           an object
    {"error": <class>, "h": n, "args": <node>, "text": str,           an exception
     "frames": [[line, function, source]...],
     "has": <node>, "cause": ..., "context": ...}                     what else it has, if anything
"""

from __future__ import annotations

import sys
import types
from collections import namedtuple
from typing import Any

from sandbox.inside import wire
from sandbox.inside.bridge import about, extended, valued
from sandbox.inside.bridge.known import KNOWN, MADE, KnownClasses
from sandbox.inside.bridge.peer import Peer
from sandbox.inside.candidate import program
from sandbox.inside.candidate.judge_functions import JudgeFunction, JudgeIterator, JudgePlainFunction
from sandbox.inside.candidate.operations import OPERATIONS, SPECIAL_METHODS
from sandbox.inside.candidate.replaced import Replaced
from sandbox.inside.values.codec import CodecError, Decoder, Encoder

_MAX_CHAIN = 4  # causes of causes that cross
MODULE = "solution"  # the name under which KodCode's tests import the program


class ProgramPeer(Peer):
    def __init__(
        self, descriptor: int, source: str, prelude: str, stdout: program.Capture, stderr: program.Capture
    ) -> None:
        super().__init__(descriptor)
        self._stdout = stdout
        self._stderr = stderr
        self._environment: Any = None  # a ProgramSide, where the judge shares any
        self._tasks: Any = None  # what of the program's is being awaited
        self._source = source
        self._prelude = prelude
        self._module: types.ModuleType | None = None
        self._names: dict[str, Any] = {}
        self._known_names: frozenset[str] = frozenset()  # of classes that the judge has, too
        self._has_classes = False  # whether the test is about classes of the program's
        self._known = KnownClasses(self._class_named, self._known_name)
        self._replaced = Replaced()
        self._made: dict[int, tuple[int, type]] = {}  # by id, classes of named tuples that only the judge has
        self._described: set[int] = set()
        self._functions: dict[int, Any] = {}  # handles of the judge's objects
        self._lent: dict[int, int] = {}  # by id, the numbers of those with more to use than a call
        self._judge_errors: dict[int, tuple[BaseException, int]] = {}  # by id: the error, its handle

    def _send(self, message: dict[str, Any]) -> None:
        if text := self._stdout.text():
            message["stdout"] = text
            self._stdout.restart()
        if text := self._stderr.text():
            message["stderr"] = text
            self._stderr.restart()
        if self._environment is not None and (changes := self._environment.collect()):
            message["shared"] = self.packed(changes)
        super()._send(message)

    def _receive(self) -> dict[str, Any]:
        message = super()._receive()
        if "shared" in message:
            changes = self.unpacked(message["shared"])
            if self._environment is None:
                from sandbox.inside.bridge.environment import ProgramSide  # only for tests that name any

                self._environment = ProgramSide(changes)
            self._environment.apply(changes)
        return message

    def perform(self, do: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        if do == "load":
            wanted, known, self._has_classes = args
            self._known_names = frozenset(known)
            self.keeps = self._has_classes
            return self._load(), self._named(wanted)
        if do == "names":
            return self._named(args[0])
        if do in ("set", "delete") and self._module is not None:
            return (self._replaced.set if do == "set" else self._replaced.delete)(self._module, *args)
        if do in ("setattr", "delattr") and issubclass(type(args[0]), type):
            return (self._replaced.set if do == "setattr" else self._replaced.delete)(*args)
        if do in ("start", "proceed", "cancel"):
            return self._await(do, *args)
        return OPERATIONS[do](*args, **kwargs)

    def _load(self) -> dict[str, Any] | None:
        """Runs the program as a module; how that failed, or None."""
        module, failure = program.load(self._source, MODULE, "import", self._prelude)
        self._module = module
        if module is not None:
            self._names = vars(module)
        return failure

    def _named(self, wanted: list[str]) -> dict[str, Any]:
        return {name: self._names[name] for name in wanted if name in self._names}

    def _class_named(self, name: str) -> type | None:
        found = self._names.get(name)
        return found if isinstance(found, type) else None

    def _known_name(self, cls: type) -> str | None:
        return cls.__name__ if cls.__module__ == MODULE and cls.__name__ in self._known_names else None

    def node(self, encoder: Encoder, value: Any, depth: int) -> object | None:
        if (node := self._known.node(encoder, value, depth)) is not None:
            return node
        if (made := self._made.get(id(type(value)))) is not None:
            return {"foreign": {MADE: [made[0], encoder.nodes(tuple.__iter__(value), depth)]}}
        if (base := valued.base_of(type(value))) is not None:
            return self._value_node(encoder, value, base, depth)
        return super().node(encoder, value, depth)

    def _tuple_class(self, number: int, name: str, names: list[str]) -> type:
        """The class that stands here for a named tuple's of the judge's."""
        for known, cls in self._made.values():
            if known == number:
                return cls
        made: type = namedtuple(name, names)  # type: ignore[misc]
        self._made[id(made)] = number, made
        return made

    def _value_node(self, encoder: Encoder, value: Any, base: type, depth: int) -> object | None:
        """An object that extends a builtin type. Where no test is about classes, one that can change is stripped."""
        fixed = base.__name__ in valued.FIXED
        if not fixed and not self._has_classes:
            return None
        described = {"h": self.handles.number(value), "of": self._describe_class(type(value))}
        if fixed:
            described["is"] = valued.held(encoder, value, base, depth)
        return {"foreign": described}

    def value(self, decoder: Decoder, description: Any, depth: int) -> object:
        if description.keys() & KNOWN:
            return self._known.value(decoder, description, depth)
        if MADE in description:
            number, node, name, names = description[MADE]
            cls = self._tuple_class(number, name, names)
            return tuple.__new__(cls, decoder.items(node, depth))
        return super().value(decoder, description, depth)

    def _await(self, do: str, *args: Any) -> object:
        if self._tasks is None:
            from sandbox.inside.bridge.awaiting import Tasks  # asyncio takes time to import

            self._tasks = Tasks()
        return getattr(self._tasks, do)(*args)

    def describe(self, value: Any) -> object | None:
        if isinstance(value, JudgeFunction):
            return {"mine": value._number}
        if id(value) in self._lent:
            return {"mine": self._lent[id(value)]}
        if issubclass(type(value), type):
            return self._describe_class(value)
        if issubclass(type(value), BaseException):
            return self.describe_error(value)
        return {"h": self.handles.number(value), "of": self._describe_class(type(value))}

    def _describe_class(self, cls: type) -> object:
        if (name := self._known_name(cls)) is not None:
            return {"known": name}
        if issubclass(cls, BaseException) and cls.__module__ != MODULE:
            return " ".join(f"{base.__module__}:{base.__qualname__}" for base in cls.__mro__[:-1])
        number = self.handles.number(cls)
        if number in self._described:
            return {"class": number}
        self._described.add(number)
        bases = [
            each for each in cls.__bases__ if each.__module__ == MODULE or issubclass(each, BaseException)
        ]
        more: dict[str, Any] = {}
        if about.LIKE.get(cls.__name__) is cls:
            more["like"] = cls.__name__
        if type(cls) is not type:
            more["decides"] = True
        if extends := extended.names(cls):
            more["extends"] = extends
        if "__dataclass_fields__" in vars(cls):
            more["dataclass"] = True
        if (base := valued.base_of(cls)) is not None:
            more |= {"base": base.__name__, "own": valued.own_names(cls, base)}
        return {
            **more,
            "class": number,
            "name": cls.__name__,
            "bases": [self._describe_class(each) for each in bases],
            "has": [name for name in SPECIAL_METHODS if _has(cls, name)],
        }

    def describe_error(self, error: BaseException, depth: int = 0) -> object:
        if id(error) in self._judge_errors:
            return {"mine": self._judge_errors[id(error)][1]}
        try:
            text = str(error)
        except Exception as problem:  # noqa: BLE001 - the program's own __str__
            text = f"<no text: {type(problem).__name__}>"
        try:
            args = self.encoder().node(about.arguments(error))
        except (CodecError, RecursionError):
            args = {"t": [text[:1000]]}
        described = {
            "error": self._describe_class(type(error)),
            "h": self.handles.number(error),
            "args": args,
            "text": text[:10_000],
            "frames": program.candidate_frames(error.__traceback__),
        }
        if has := about.more_of(error):
            described["has"] = self.encoder().node(has)
        for name, other in (("cause", error.__cause__), ("context", error.__context__)):
            if other is not None and depth < _MAX_CHAIN and id(other) not in self._judge_errors:
                described[name] = self.describe_error(other, depth + 1)
        return described

    def resolve(self, description: Any) -> object:
        if "mine" in description:
            return self.handles.get(description["mine"])
        if "error" in description:
            return self.error(description)
        number = description["h"]
        if number not in self._functions:
            self._functions[number] = self._function(number, description)
        return self._functions[number]

    def _function(self, number: int, description: Any) -> Any:
        if "can" in description:
            from sandbox.inside.candidate.borrowed import handle  # only for tests that pass such objects

            lent = handle(self.request, description["can"])
            self._lent[id(lent)] = number
            return lent
        if "iterator" in description:
            return JudgeIterator(self, number, {})
        kind = JudgePlainFunction if "binds" in description else JudgeFunction
        return kind(self, number, description.get("texts", {}))

    def error(self, description: Any) -> BaseException:
        if "mine" in description:
            error: BaseException = self.handles.get(description["mine"])
            return error
        args = self.decoder().value(description["args"])
        cls = _error_class(description["error"])
        error = cls(*args) if cls.__module__ == "builtins" else cls.__new__(cls, *args)
        error.args = args
        vars(error).update(self.decoder().value(description["has"]))
        self._judge_errors[id(error)] = error, description["h"]
        return error


def _error_class(names: list[str]) -> type[BaseException]:
    """The first of `module:Name` that there is here; the test's own classes are not."""
    for full_name in names:
        module, _, name = full_name.partition(":")
        cls = getattr(sys.modules.get(module), name, None)
        if module.partition(".")[0] in sys.stdlib_module_names and isinstance(cls, type):
            return cls
    return Exception


def _has(cls: type, name: str) -> bool:
    """Whether instances of `cls` have the special method `name` (looked up as the interpreter does)."""
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name] is not None
    return False


def main() -> None:
    payload = wire.read_payload()
    sys.stdout = sys.__stdout__ = stdout = program.Capture(payload["output_bytes"])  # type: ignore[assignment, misc]
    sys.stderr = sys.__stderr__ = stderr = program.Capture(payload["output_bytes"])  # type: ignore[assignment, misc]
    ProgramPeer(wire.RPC, payload["program"], payload["prelude"], stdout, stderr).serve_until_end()
