"""Starts a cell: imports and rehearses the mains, then runs the supervisor that its backend asks for."""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import socket
import sys
from typing import Any

from sandbox.inside import rehearsal, wire
from sandbox.inside.candidate import languages
from sandbox.inside.supervisor import interpreter, modules, seccomp
from sandbox.inside.supervisor.entering import OWN_FILES
from sandbox.inside.supervisor.supervisor import Supervisor


def main(argv: list[str]) -> None:
    """`argv`: one JSON object {role, uid, socket (a path) or control_fd}; for `confined` also `place`."""
    interpreter.make_room_for_recursion()
    settings = json.loads(argv[0])
    sys.argv = [""]
    interpreter.prepare()
    os.environ.pop("LD_BIND_NOW", None)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, wire.STDIN)
    os.dup2(null, wire.STDOUT)
    os.close(null)
    oom_score = wire.set_aside(os.open("/proc/self/oom_score_adj", os.O_RDWR))
    seccomp.set_dumpable(False)
    seccomp.set_no_new_privileges()
    seccomp.drop_inheritable_capabilities()
    resource.setrlimit(resource.RLIMIT_NOFILE, (OWN_FILES, OWN_FILES))
    if "control_fd" in settings:
        control = socket.socket(fileno=settings["control_fd"])
    else:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.connect(settings["socket"])
    control = socket.socket(fileno=wire.set_aside(control.detach()))
    with interpreter.without_fork_hooks() as fork_hooks:
        _preload()
        mains = _load_mains(settings["role"])
        rehearse = {"program": rehearsal.program, "judge": rehearsal.judge}.get(settings["role"])
        if rehearse:
            rehearse(mains)
    supervisor: Supervisor
    if "place" in settings:
        from sandbox.inside.supervisor.confined import LoneSupervisor

        supervisor = LoneSupervisor(
            control, mains=mains, fork_hooks=fork_hooks, oom_score=oom_score, place=settings["place"]
        )
    else:
        supervisor = Supervisor(
            control,
            uid=settings["uid"],
            mains=mains,
            languages=languages.available(),
            fork_hooks=fork_hooks,
            oom_score=oom_score,
        )
    seccomp.install_filter()
    supervisor.rehearse(rehearsal.TIMES)
    gc.disable()
    interpreter.settle()
    supervisor.serve()


def _load_mains(role: str) -> dict[str, Any]:
    """The mains that this cell offers, imported before the first fork."""
    from sandbox.inside.candidate import compiled, program, script

    if role == "program":
        from sandbox.inside.candidate import serve

        return {
            "calls": program.calls,
            "stdio": script.main,
            "serve": serve.main,
            "build": compiled.build,
            "execute": compiled.execute,
        }
    if role == "together":
        from sandbox.inside.judge import together

        return {"together": together.main}
    from sandbox.inside.judge import check, judge

    return {
        "judge": judge.main,
        "check": check.main,
        "stdio": script.main,
        "execute": compiled.execute,
    }


def _preload() -> None:
    for name in modules.ALWAYS:
        importlib.import_module(name)
