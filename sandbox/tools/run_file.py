"""`coderl sandbox run FILE`: a program as `python FILE` would run it, in the sandbox."""

from __future__ import annotations

import sys
from pathlib import Path

import sandbox
from sandbox.errors import InputError
from sandbox.inside.candidate.languages import LANGUAGES
from sandbox.protocol import Job, Limits, Outcome, Status, Stdio

EXIT_TIMEOUT = 124  # as `timeout` has it
EXIT_INFRA = 125


def run_file(path: Path, backend: str, limits: Limits) -> int:
    """Prints what the program prints; returns the exit status for it."""
    language = next((name for name, each in LANGUAGES.items() if path.suffix in each.suffixes), "python")
    program, stdin = _text_of(path), _stdin()
    with sandbox.open_pool(1, backend, limits=limits, languages=[language], report=_say) as pool:
        outcome = pool.run(
            Job(id=path.name, program=program, work=Stdio((stdin,)), limits=limits, language=language)
        )
    for test in outcome.tests:
        sys.stdout.write(test.stdout)
        sys.stdout.flush()
        sys.stderr.write(test.stderr.removesuffix(f"{_last_line(outcome)}\n"))
    return _explain(path, outcome)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Name a program that you may read."
        ) from None


def _stdin() -> str:
    if sys.stdin.isatty():
        return ""
    data = sys.stdin.buffer.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"standard input is not UTF-8 text (byte {error.start} is {data[error.start]:#04x}): programs in the "
            "sandbox are given text. Convert it first, with iconv for example."
        ) from None


def _explain(path: Path, outcome: Outcome) -> int:
    if outcome.status is Status.OK:
        return 0
    error = outcome.error
    for frame in error.frames if error else ():
        _say(f'  File "{path}", line {frame.line}, in {frame.function}\n    {frame.source}')
    _say(_last_line(outcome))
    if outcome.status is not Status.EXCEPTION:
        _say(f"[sandbox: {outcome.status}]")
    if outcome.status is Status.INFRA:
        return EXIT_INFRA
    return EXIT_TIMEOUT if outcome.status in (Status.CPU_TIMEOUT, Status.WALL_TIMEOUT) else 1


def _last_line(outcome: Outcome) -> str:
    error = outcome.error
    return f"{error.type}: {error.message}" if error else outcome.detail


def _say(line: str) -> None:
    print(line, file=sys.stderr)
