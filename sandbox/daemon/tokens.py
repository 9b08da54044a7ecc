"""Who may use the daemon, and how much: bearer tokens from a TOML file.

[tokens.trainer]
sha256 = "9f86d0..."        # of the token: `printf %s TOKEN | sha256sum`
jobs = 4096                 # waiting and running at once; default: the daemon's whole queue
jobs_per_minute = 60000     # default: no limit
priority = 9                # the highest it may ask for; default 9
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.pool.queue import MAX_PRIORITY

_FIELDS: dict[str, type] = {"sha256": str, "jobs": int, "jobs_per_minute": int, "priority": int}


class TokenFileError(SandboxError):
    """The token file cannot be used: what is wrong, where, what helps."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}. See `Tokens` in docs/serving.md.")


@dataclass
class Caller:
    """A token's quotas, and what it has used of them. Touched by the event loop's thread only."""

    name: str
    sha256: str = ""
    jobs: int | None = None
    jobs_per_minute: int | None = None
    priority: int = MAX_PRIORITY
    admitted: int = field(default=0, init=False)  # jobs waiting and running now
    _allowance: float = field(default=0.0, init=False)
    _counted: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        self._allowance = float(self.jobs_per_minute or 0)

    def over_quota(self, count: int) -> tuple[str, float] | None:
        """Why `count` more jobs are too many now, and in how many seconds to ask again; None: they are not."""
        if self.jobs is not None and self.admitted + count > self.jobs:
            return f"token {self.name!r} may have {self.jobs} jobs at once and has {self.admitted}", 1.0
        if self.jobs_per_minute is not None:
            now, rate = time.monotonic(), self.jobs_per_minute / 60
            self._allowance = min(float(self.jobs_per_minute), self._allowance + (now - self._counted) * rate)
            self._counted = now
            missing = min(count, self.jobs_per_minute) - self._allowance  # a larger batch runs into debt
            if missing > 0:
                return f"token {self.name!r} may send {self.jobs_per_minute} jobs a minute", missing / rate
        return None

    def charge(self, count: int) -> None:
        self.admitted += count
        if self.jobs_per_minute is not None:
            self._allowance -= count


class Tokens:
    """Without tokens every caller is `anonymous`, without quotas."""

    def __init__(self, callers: list[Caller] | None = None) -> None:
        self._callers = callers or []
        self._anonymous = Caller("anonymous")

    @property
    def required(self) -> bool:
        return bool(self._callers)

    def caller(self, authorization: str | None) -> Caller | None:
        """The caller with this `Authorization` header; None: no known one."""
        if not self._callers:
            return self._anonymous
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        found = [caller for caller in self._callers if hmac.compare_digest(caller.sha256, digest)]
        return found[0] if found else None


def read(path: Path) -> Tokens:
    """The tokens of a file. Raises `TokenFileError`."""
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TokenFileError(f"{path}", f"cannot be read: {error}") from None
    tables = data.get("tokens")
    if not isinstance(tables, dict) or not tables:
        raise TokenFileError(f"{path}", "holds no [tokens.NAME] table")
    return Tokens([_caller(path, name, fields) for name, fields in tables.items()])


def _caller(path: Path, name: str, fields: Any) -> Caller:
    where = f"{path}: [tokens.{name}]"
    if not isinstance(fields, dict):
        raise TokenFileError(where, "is not a table")
    for key, value in fields.items():
        if key not in _FIELDS:
            raise TokenFileError(where, f"unknown key {key!r}; there are: {', '.join(_FIELDS)}")
        if type(value) is not _FIELDS[key] or (isinstance(value, int) and value < 0):
            raise TokenFileError(where, f"{key} = {value!r} is not a {_FIELDS[key].__name__} of 0 or more")
    if not re.fullmatch("[0-9a-f]{64}", fields.get("sha256", "")):
        raise TokenFileError(
            where, "sha256 is not the 64 hexadecimal digits of a token's hash (`printf %s TOKEN | sha256sum`)"
        )
    return Caller(name, **fields)
