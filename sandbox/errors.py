"""Errors of the sandbox. A program's failure is never one of these: it is an `Outcome`.

SandboxError
├── NoBackendError      no backend works on this machine; lists each with its remedy
├── BackendError        one backend cannot be used, with the remedy
│   └── ImageError      its image cannot be built
├── CapacityError      more slots than this machine can hold
├── CellLost            a cell died or broke its protocol: try elsewhere (inside the pool only)
├── InputError          a file or option that a user gave cannot be used
├── PoolClosedError     the pool was closed before the job was done
└── JobCancelledError   the job was stopped because its caller gave up
"""

from __future__ import annotations

from collections.abc import Mapping


class SandboxError(Exception):
    """Base of them all."""


class BackendError(SandboxError):
    """A backend that cannot be used here: what is wrong, and what would help."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}. {remedy}" if remedy else problem)


class ImageError(BackendError):
    """A docker image cannot be built."""


class NoBackendError(SandboxError):
    """`failures` maps each backend that was tried to why it cannot be used."""

    def __init__(self, failures: Mapping[str, BackendError]) -> None:
        self.failures = dict(failures)
        lines = [f"  {name}: {error}" for name, error in self.failures.items()]
        super().__init__(
            "no sandbox backend works here, and programs are never run without one:\n" + "\n".join(lines)
        )

    def __reduce__(self) -> tuple[type[NoBackendError], tuple[dict[str, BackendError]]]:
        return NoBackendError, (self.failures,)  # the usual way would pass it its text: it crosses processes


class CapacityError(SandboxError):
    """More slots than this machine can hold."""


class CellLost(SandboxError):
    """`memory`: the engine says that memory ran out, in the cell or on the host. `ours`: no program can cause this."""

    def __init__(self, evidence: str, *, memory: bool = False, ours: bool = False) -> None:
        self.evidence = evidence
        self.memory = memory
        self.ours = ours
        super().__init__(evidence)


class InputError(SandboxError):
    """A file or option that a user gave cannot be used."""


class PoolClosedError(SandboxError):
    """The pool was closed before the job was done."""


class JobCancelledError(SandboxError):
    """The job was stopped because its caller gave up."""
