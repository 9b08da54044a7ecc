"""Runs a cell's mains a few times before the first fork, on a program of ours.

What the interpreter does once (specialising code, filling caches, growing free lists) is then done before the fork,
and not in each process, in pages that would be copied. No payload is involved: there is none yet.
"""

from __future__ import annotations

import base64
import linecache
import marshal
import os
import socket
import sys
from collections.abc import Callable, Sequence

from sandbox.inside import wire
from sandbox.inside.judge.seen import RECORD
from sandbox.inside.values import codec

TIMES = 12  # the interpreter specialises code that ran eight times
_PROGRAM = '''
from typing import List
import math


def rehearsed(values: List[int], names: dict) -> list:
    """What many programs do."""
    total = sum(value * 2 for value in values if value % 3 == 0)
    words = [str(word).strip().lower() for word in sorted(names) if word not in "aeiou"]
    counts = {}
    for index, word in enumerate(words):
        counts[word] = counts.get(word, 0) + len(word) + index
    return [total, max(values), math.sqrt(abs(total)), tuple(words), counts, True, None, "".join(words[::-1])]
'''
_ARGUMENTS: tuple[object, ...] = ([3, 1, 2], {"x": 1.5, "e": "two"}), {}
_TEST = f"""
def check(candidate):
    try:
        if candidate([1, 2], {{'x': 1.5}}) == [2, ('x',)]: {RECORD}.held(0)
        else: {RECORD}.failed(0, True)
    except {RECORD}.Exception: {RECORD}.raised(0)
    try:
        if candidate([], {{}}) == 4: {RECORD}.held(1)
        else: {RECORD}.failed(1, True)
    except {RECORD}.Exception: {RECORD}.raised(1)
"""
_PLAN = {  # see sandbox/jobs/instrument.py
    "helpers": ["import math"],
    "test": _TEST,
    "asserts": ["line 2", "line 3"],
    "asserting": [],
    "wanted": ["rehearsed"],
    "modules": ["solution"],
    "classes": [],
    "imports": [],
    "shares": [],
}
_MADE = {"solution", "test_solution"}
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


def program(mains: dict[str, Callable[[], object]]) -> None:
    call = ["rehearsed", codec.encode(_ARGUMENTS)]
    calls = {
        "program": _PROGRAM,
        "prelude": "",
        "calls": [call] * 3,
        "done": 0,
        "value_bytes": 1 << 20,
        "output_bytes": 1 << 10,
    }
    served = {"program": _PROGRAM, "prelude": "", "output_bytes": 1 << 10}
    args = codec.Encoder().node(_ARGUMENTS)
    function = {"foreign": {"mine": 0}}
    call_it = {"t": [{"t": [function, *args["t"][0]["t"]]}, {"d": []}]}  # type: ignore[index]
    names = {"t": [{"t": [["rehearsed", "absent"], [], False]}, {"d": []}]}
    requests = [("load", names), ("call", call_it), ("call", call_it)]
    for _ in range(TIMES):
        _run(mains["calls"], calls)
        messages = [{"id": number, "do": do, "args": args} for number, (do, args) in enumerate(requests, 1)]
        _run(mains["serve"], served, messages)


def judge(mains: dict[str, Callable[[], object]]) -> None:
    function = {"class": 0, "name": "function", "bases": [], "has": ["__call__"]}
    names = {"d": ["rehearsed", {"foreign": {"h": 1, "of": function}}]}
    answers = [{"t": [None, names]}, [2, {"t": ["x"]}], 3]
    messages = [{"re": number, "value": value, "changes": []} for number, value in enumerate(answers, 1)]
    code = base64.b64encode(marshal.dumps(compile(_TEST, "<test>", "exec"))).decode()
    plan = {"kind": "check", "owner": "", "entry_point": "rehearsed", "plan": _PLAN}
    payload = {"code": [sys.version, code], **plan}
    for _ in range(TIMES):
        _run(mains["judge"], payload, messages)


def _run(main: Callable[[], object], payload: object, messages: Sequence[object] = ()) -> None:
    """`main` as a process runs it, with what its peer will say already said."""
    modules, streams = set(sys.modules), {name: getattr(sys, name) for name in _STREAMS}
    ours, theirs = (socket.socket(fileno=wire.set_aside(end.detach())) for end in socket.socketpair())
    stored = wire.set_aside(os.memfd_create("rehearsal"))
    os.write(stored, wire.to_json(payload).encode())
    os.lseek(stored, 0, os.SEEK_SET)
    with ours, theirs:
        ours.sendall(b"".join(map(wire.pack, messages)))
        ours.shutdown(socket.SHUT_WR)
        os.dup2(stored, wire.PAYLOAD)
        os.dup2(wire.STDIN, wire.RESULTS)  # /dev/null
        os.dup2(theirs.fileno(), wire.RPC)
        os.close(stored)
        main()
        os.close(wire.RESULTS)
        os.close(wire.RPC)
    for name, stream in streams.items():
        setattr(sys, name, stream)
    for name in set(sys.modules) - modules:
        if name in _MADE:
            del sys.modules[name]
    linecache.clearcache()
