"""Helpers of the judge's tests."""

from __future__ import annotations

from textwrap import dedent
from typing import Literal

from sandbox.protocol import Job, Judge, Limits, Outcome, Runner

LIMITS = Limits(scratch_bytes=16 << 20)


def judge(
    pool: Runner,
    program: str,
    test: str,
    *,
    kind: Literal["script", "check", "unittest", "pytest"] = "script",
    entry_point: str | None = None,
    prompt: str = "",
    limits: Limits | None = None,
) -> Outcome:
    """The judge's outcome on `program`; both sources may be indented."""
    work = Judge(kind=kind, test=dedent(test), entry_point=entry_point, prompt=dedent(prompt))
    return pool.run(Job(id="job", program=dedent(program), work=work, limits=limits or LIMITS))
