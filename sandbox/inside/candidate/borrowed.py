"""What `lent.py` lends, as the program sees it: handles whose every use is a request to the judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Request = Callable[..., Any]  # peer's `request`


class LentObject:
    _coderl_request: Request

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._coderl_request("use", (self, "getattr", name))

    def __setattr__(self, name: str, value: object) -> None:
        self._coderl_request("use", (self, "setattr", name, value))

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("an object of the test's cannot be copied here")


def handle(request: Request, can: Sequence[str]) -> LentObject:
    methods = {name: _METHODS.get(name) or _forwarded(name) for name in can}
    made: LentObject = object.__new__(type("Lent", (LentObject,), methods))
    object.__setattr__(made, "_coderl_request", request)
    return made


def _forwarded(name: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: self._coderl_request("use", (self, name, *args), kwargs)


def _await(self: Any) -> Any:
    return self._coderl_request("use", (self, "__await__"))
    yield  # so that this is a generator, as `__await__` must be


def _awaiting(name: str) -> Callable[..., Any]:
    async def ask(self: Any, *args: object) -> Any:
        return self._coderl_request("use", (self, name, *args))

    return ask


async def _aexit(self: Any, kind: object, error: object, traceback: object) -> Any:
    return self._coderl_request("use", (self, "__aexit__", error))


_METHODS: dict[str, Callable[..., Any]] = {
    "__exit__": lambda self, kind, error, traceback: self._coderl_request("use", (self, "__exit__", error)),
    "__await__": _await,
    "__anext__": _awaiting("__anext__"),
    "__aenter__": _awaiting("__aenter__"),
    "__aexit__": _aexit,
}
