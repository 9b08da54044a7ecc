"""Makes proxies of the program's descriptions of its objects, classes and exceptions.

Any description may be false; none may break the judge, or make it run or import anything.
"""

from __future__ import annotations

import sys
from typing import Any

from sandbox.inside.bridge import about, extended, valued
from sandbox.inside.bridge.known import KnownClasses
from sandbox.inside.bridge.peer import BUILTIN_ERRORS, Peer
from sandbox.inside.judge.proxies import (
    ARITHMETIC_METHODS,
    COROUTINE_METHODS,
    DOC,
    FIELDS,
    SPECIAL_METHODS,
    CandidateClass,
    Proxy,
    is_private,
)
from sandbox.inside.judge.seen import Record
from sandbox.inside.values.codec import CodecError

_MAX_HANDLE = 1 << 31
_MAX_FRAMES = 20


class Descriptions(Peer):
    def __init__(self, descriptor: int, record: Record) -> None:
        super().__init__(descriptor)
        self.record = record
        self.class_names: frozenset[str] = frozenset()  # of classes of the program's that the test is about
        self.known: dict[str, type] = {}  # classes that the prompt defines: the program has them, too
        self._known = KnownClasses(self.known.get, self._known_name)
        self._classes: dict[int, type] = {}
        self._objects: dict[int, Proxy] = {}

    @property
    def has_classes(self) -> bool:
        return bool(self.class_names)

    def _known_name(self, cls: type) -> str | None:
        return cls.__name__ if self.known.get(cls.__name__) is cls else None

    def resolve(self, description: Any) -> object:
        if type(description) is str:
            return self._class(description)
        if type(description) is not dict:
            raise CodecError("not a description")
        if "class" in description:
            return self._class(description)
        if "mine" in description:
            return self.handles.get(description["mine"])
        if "error" in description:
            return self._exception(description)
        number, cls = handle_of(description.get("h")), self._class(description.get("of"))
        if not issubclass(cls, Proxy):
            raise CodecError("an object of no class of the program's")
        if number not in self._objects:
            base = getattr(cls, "_coderl_base", object)
            if base in valued.FIXED.values():
                raise CodecError("a fixed value without its value")
            proxy = base.__new__(cls)
            object.__setattr__(proxy, "_coderl_handle", number)
            self._objects[number] = proxy
        return self._objects[number]

    def error(self, description: Any) -> BaseException:
        """What the program raised; some exceptions are its failure even if the test expects them."""
        if type(description) is not dict:
            raise CodecError("not a description")
        if "mine" in description:
            error = self.handles.get(description["mine"])
            if not isinstance(error, BaseException):
                raise CodecError("not an exception")
            return error
        error = self._exception(description)
        if not isinstance(error, (Exception, SystemExit)) or isinstance(error, never_excused()):
            text, frames = vars(error)["_coderl_text"], vars(error)["_coderl_frames"]
            self.record.spoil(type(error).__name__, text, "call", frames)
        return error

    def _exception(self, description: dict[str, Any]) -> BaseException:
        cls = self._class(description.get("error"))
        args = self.decoder().value(description.get("args"))
        text = description.get("text")
        if not issubclass(cls, BaseException) or type(args) is not tuple or type(text) is not str:
            raise CodecError("not an exception")
        error: BaseException
        try:
            builtin = cls is SystemExit or BUILTIN_ERRORS.get(cls.__name__) is cls
            error = cls(*args) if builtin else cls.__new__(cls, *args)
        except Exception:  # noqa: BLE001 - arguments that this class does not take; their text is enough
            error = cls.__new__(cls)
            error.args = (text,)
        vars(error).update(
            _coderl_handle=handle_of(description.get("h")),
            _coderl_text=text,
            _coderl_frames=frames(description.get("frames")),
        )
        if (has := description.get("has")) is not None:
            about.give(error, self.decoder().value(has))
        if (context := description.get("context")) is not None:
            error.__context__ = self._chained(context)
        if (cause := description.get("cause")) is not None:
            error.__cause__ = self._chained(cause)
        return error

    def _chained(self, description: Any) -> BaseException:
        if type(description) is not dict:
            raise CodecError("not an exception")
        return self._exception(description)

    def _class(self, description: Any) -> type:
        if type(description) is str:
            return _known_exception(description)
        if type(description) is not dict:
            raise CodecError("not a class")
        if "known" in description:
            return self._known.named(description["known"])
        number = handle_of(description.get("class"))
        if number not in self._classes:
            self._classes[number] = self._new_class(number, description)
        return self._classes[number]

    def _value_namespace(self, base: object, own: object) -> dict[str, Any]:
        if type(base) is not str or base not in valued.BASES:
            raise CodecError("no type that can be extended")
        if type(own) is not list or not all(type(name) is str for name in own):
            raise CodecError("not the names of a class")
        return valued.namespace(
            valued.BASES[base], own, self.has_classes, SPECIAL_METHODS, ARITHMETIC_METHODS
        )

    def _new_class(self, number: int, description: dict[str, Any]) -> type:
        name, bases, has = (description.get(key) for key in ("name", "bases", "has"))
        if type(name) is not str or type(bases) is not list or type(has) is not list:
            raise CodecError("not a class")
        parents = tuple(dict.fromkeys(self._class(base) for base in bases))
        namespace: dict[str, Any] = {
            "__module__": "solution",
            "__doc__": DOC,
            "_coderl_candidate": self,
            "_coderl_class_handle": number,
            "_coderl_decides": description.get("decides") is True,
        }
        base = description.get("base")
        if any(issubclass(parent, BaseException) for parent in parents):
            namespace["__getattr__"] = _exception_attribute
            namespace["__str__"] = lambda error: vars(error)["_coderl_text"]
        else:
            parents = parents or (Proxy,)
            namespace |= {key: SPECIAL_METHODS[key] for key in has if key in SPECIAL_METHODS}
            if name == "coroutine":
                namespace |= COROUTINE_METHODS
            if "__hash__" not in namespace:
                namespace["__hash__"] = None
            if (kind := about.LIKE.get(str(description.get("like")))) is not None:
                namespace["__class__"] = property(lambda self: kind)
            if description.get("dataclass"):
                namespace["__dataclass_fields__"] = FIELDS
            if base is not None:
                namespace |= self._value_namespace(base, description.get("own"))
                if not any(issubclass(parent, valued.BASES[base]) for parent in parents):
                    parents += (valued.BASES[base],)
        made = type.__new__(CandidateClass, name, parents, namespace)
        extended.join(made, description.get("extends"))
        return made


def _exception_attribute(error: Any, name: str) -> Any:
    if is_private(name):
        raise AttributeError(name)
    return type(error)._coderl_candidate.ask("getattr", error, name)


def _known_exception(names: str) -> type:
    """The first of `module:Name module:Name ...` that is an exception class of Python's own, loaded here.

    Not a private one: by such, libraries talk to themselves (unittest takes `_ShouldStop` for no failure).
    """
    for full_name in names.split():
        module, _, name = full_name.partition(":")
        if name.startswith("_"):
            continue
        if module.partition(".")[0] in sys.stdlib_module_names and module in sys.modules:
            cls = vars(sys.modules[module]).get(name)
            if isinstance(cls, type) and issubclass(cls, BaseException):
                return cls
    raise CodecError("no known exception class")


def never_excused() -> tuple[type, ...]:
    """What no test may catch; a skip exists only where the test has loaded unittest."""
    skip = getattr(sys.modules.get("unittest.case"), "SkipTest", AssertionError)
    return AssertionError, skip


def handle_of(number: object) -> int:
    if type(number) is not int or not 0 <= number < _MAX_HANDLE:
        raise CodecError("not a handle")
    return number


def frames(value: object) -> list[list[Any]]:
    """The program's frames [line, function] from [line, function, source]; the host knows the source."""
    try:
        found = [[frame[0], frame[1]] for frame in value]  # type: ignore[attr-defined]
    except (TypeError, IndexError, KeyError):
        raise CodecError("malformed frames") from None
    if not all(type(line) is int and type(name) is str for line, name in found):
        raise CodecError("malformed frames")
    return [[line, name[:200]] for line, name in found[-_MAX_FRAMES:]]
