"""Cells as bubblewrap sandboxes: the embedded backend, where no container engine answers.

As root, the supervisor is root with three capabilities, and programs get a user id of their own, as in a container.
Otherwise there is one user id; the supervisor is protected because it is pid 1 (no signal gets through), not dumpable,
and because the seccomp filter guards its limits and scheduling. There is no cgroup: the supervisor watches the memory.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from sandbox.backends import packages
from sandbox.backends.base import (
    BOOT,
    ENVIRONMENT,
    PYTHON_FLAGS,
    STAGE,
    Stage,
    as_text,
    unprivileged_uid,
)
from sandbox.backends.cell import ROLES, Cell, Role, like
from sandbox.backends.host import ProcessHandle, interpreter, interpreter_name
from sandbox.errors import BackendError, CellLost
from sandbox.protocol import Limits

_PACKAGES = "/coderl-packages"
_REQUIRED = "/coderl-required"
_BOOT = (BOOT[0], f"import sys; sys.path += [{_REQUIRED!r}, {_PACKAGES!r}]; {BOOT[1]}")
_REMEDY = "Install bubblewrap (Debian, Ubuntu: `sudo apt-get install bubblewrap`)."


class BubblewrapBackend:
    name = "bubblewrap"
    unenforced: tuple[str, ...] = (
        "memory and scratch files are summed every 10 ms, not bounded by a cgroup",
        "a program may use several CPUs at a time",
    )

    def __init__(self, requirements: Collection[str] = ()) -> None:
        """Raises `BackendError`, also where `requirements` are not available."""
        found = shutil.which("bwrap")
        if found is None:
            raise BackendError("the program bwrap is missing", _REMEDY)
        self._bwrap = found
        self._required = packages.folder_of(requirements)
        self._stage = Stage()
        self._packages = {role: _package_mounts(role, self._required) for role in ROLES}

    def image(self, role: Role) -> str:
        return interpreter_name(self._required)

    def open_cell(self, role: Role, limits: Limits) -> Cell:
        as_root = os.geteuid() == 0
        uid = unprivileged_uid(1_000_000_000, 2_000_000_000) if as_root else None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = {"role": role, "uid": uid, "control_fd": theirs.fileno()}
        errors = self._stage.folder / f"{secrets.token_hex(8)}.errors"
        command = [
            *(self._bwrap, *_ISOLATION, *(_ROOT_CAPABILITIES if as_root else _USER_NAMESPACE)),
            *_environment(),
            *_mounts(self._stage.code, limits.scratch_bytes),
            *self._packages[like(role)],
            *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"),
            *(interpreter(), *PYTHON_FLAGS, "-S", *_BOOT, json.dumps(settings)),
        ]
        try:
            with theirs, errors.open("wb") as stderr:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    pass_fds=[theirs.fileno()],
                    env={},
                    cwd="/",
                    start_new_session=True,  # Ctrl-C at the terminal is for us alone
                )
        except OSError as error:
            ours.close()
            raise BackendError(f"bwrap cannot be started: {as_text(error)}") from error
        handle = ProcessHandle(process, errors, "bwrap")
        try:
            return Cell(role, ours, handle)
        except CellLost as error:
            ours.close()
            handle.destroy()
            raise BackendError(f"a bubblewrap sandbox did not start: {error}", _advice(str(error))) from error

    def fit(self, cell: Cell, limits: Limits) -> None:
        """Nothing to do: the supervisor learns the limit with each program."""

    def close(self) -> None:
        self._stage.remove()


_ISOLATION = (
    *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--as-pid-1", "--new-session", "--die-with-parent", "--hostname", "cell", "--cap-drop", "ALL"),
)
_ROOT_CAPABILITIES = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL")
_USER_NAMESPACE = ("--unshare-user", "--uid", "65534", "--gid", "65534")


def _environment() -> list[str]:
    variables = [part for name, value in ENVIRONMENT.items() for part in ("--setenv", name, value)]
    return ["--clearenv", *variables]


def _mounts(code: Path, scratch_bytes: int) -> list[str]:
    """The system's libraries, the interpreter without any of its environments' packages, our code."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    prefix = str(Path(sys.base_prefix).resolve())
    if not prefix.startswith("/usr/local"):
        arguments += ["--tmpfs", "/usr/local"]
    for name in ("/lib", "/lib64", "/lib32", "/bin"):
        path = Path(name)
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), name]
        elif path.is_dir():
            arguments += ["--ro-bind", name, name]
    if not prefix.startswith("/usr"):
        arguments += [*_folders(Path(prefix).parent), "--ro-bind", prefix, prefix]
    for installed in (
        *Path(prefix, "lib").glob("python*/*-packages"),
        *Path("/usr/lib").glob("python*/*-packages"),
    ):
        arguments += ["--tmpfs", str(installed)]  # may hold a benchmark's tests, for instance
    for name in ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"):
        arguments += ["--ro-bind-try", name, name]
    tmpfs = ["--perms", "1777", "--size", str(scratch_bytes), "--tmpfs"]
    arguments += ["--proc", "/proc", "--dev", "/dev", *tmpfs, "/tmp", *tmpfs, "/dev/shm"]
    return [*arguments, "--ro-bind", str(code), STAGE]


def _folders(path: Path) -> list[str]:
    """`path` and its parents, open to all: bwrap makes a mount's missing parents for its own user alone."""
    folders = [*reversed(path.parents), path][1:]
    return [part for folder in folders for part in ("--perms", "0755", "--dir", str(folder))]


def _package_mounts(role: Role, required: Path | None) -> list[str]:
    arguments = [*_folders(Path(_PACKAGES)), *_folders(Path(_REQUIRED))]
    if required:
        arguments += ["--ro-bind", str(required), _REQUIRED]
    for name, path in packages.of_our_own(role).items():
        arguments += ["--ro-bind", str(path), f"{_PACKAGES}/{name}"]
    return arguments


def _advice(text: str) -> str:
    if "namespace" in text or "uid map" in text or "Operation not permitted" in text:
        return (
            "Allow unprivileged user namespaces (`sudo sysctl -w kernel.unprivileged_userns_clone=1`; Ubuntu 24.04: "
            "`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`), or use Docker."
        )
    return ""
