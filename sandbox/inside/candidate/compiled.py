"""Programs in a language that is compiled: `build` makes an executable in one process, `execute` becomes it in another.

As with all that a program's process says, what `build` reports is data that the host checks.
"""

from __future__ import annotations

import os
import re
import resource
import signal
from typing import Any, NoReturn

from sandbox.inside import wire
from sandbox.inside.candidate.languages import LANGUAGES
from sandbox.inside.candidate.program import MESSAGE_CHARS
from sandbox.inside.candidate.script import place

_EXECUTABLE = "program"
_MESSAGES = "messages"
_CHUNK = 1 << 16
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def build() -> None:
    """Main of a `build` process. Payload: `language`, `program`. The executable goes to standard output; then a
    frame: `failure`, or None."""
    payload = wire.read_payload()
    language = LANGUAGES[payload["language"]]
    os.set_inheritable(wire.RESULTS, False)
    source = _EXECUTABLE + language.suffixes[0]
    with open(source, "wb") as file:
        file.write(payload["program"].encode(errors="surrogatepass"))
    if _compile([*language.command, "-o", _EXECUTABLE, source]) != 0:
        wire.send(wire.RESULTS, {"failure": _failure(source, payload["program"])})
        return
    with open(_EXECUTABLE, "rb") as file:
        while chunk := file.read(_CHUNK):
            wire.write_all(wire.STDOUT, chunk)
    wire.send(wire.RESULTS, {"failure": None})


def execute() -> NoReturn:
    """Main of an `execute` process. Payload: `stack_bytes`; `files` and `arguments` as for `stdio`. A frame says that
    it began, then it becomes the program."""
    payload = wire.read_payload()
    for descriptor in (wire.RESULTS, wire.EXECUTABLE):
        os.set_inheritable(descriptor, False)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and so would the program
        signal.signal(number, signal.SIG_DFL)
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = payload["stack_bytes"]
    resource.setrlimit(resource.RLIMIT_STACK, (wanted if hard < 0 else min(wanted, hard), hard))
    place(payload.get("files", {}))
    wire.send(wire.RESULTS, {"began": True})
    os.execve(wire.EXECUTABLE, [_EXECUTABLE, *payload.get("arguments", [])], _ENVIRONMENT)


def _compile(command: list[str]) -> int:
    """The compiler's wait status; what it says is in a file, whose size is limited."""
    with open(_MESSAGES, "wb") as messages:
        files = [
            (os.POSIX_SPAWN_DUP2, messages.fileno(), wire.STDOUT),
            (os.POSIX_SPAWN_DUP2, messages.fileno(), wire.STDERR),
        ]
        pid = os.posix_spawn(command[0], command, _ENVIRONMENT, file_actions=files)
    return os.waitpid(pid, 0)[1]


def _failure(source: str, program: str) -> dict[str, Any]:
    """What the compiler says, as data; its first error's line stands for a frame."""
    with open(_MESSAGES, encoding="utf-8", errors="replace") as file:
        messages = file.read(4 * MESSAGE_CHARS)
    frames = []
    if found := re.search(rf"^{re.escape(source)}:(\d+):.*error", messages, re.MULTILINE):
        number, lines = int(found[1]), program.split("\n")
        frames.append([number, "", lines[number - 1].strip()[:200] if 0 < number <= len(lines) else ""])
    return {
        "type": "CompileError",
        "message": messages[:MESSAGE_CHARS].strip() or "the compiler failed and said nothing",
        "phase": "compile",
        "frames": frames,
    }
