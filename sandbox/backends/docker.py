"""Cells as containers of a Docker engine."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from docker.errors import APIError, NotFound
from docker.types import LogConfig, Mount

from sandbox.backends.base import (
    BOOT,
    ENVIRONMENT,
    PYTHON_FLAGS,
    STAGE,
    START_SECONDS,
    Stage,
    as_text,
    listening_socket,
    unprivileged_uid,
)
from sandbox.backends.cell import Cell, Role, like
from sandbox.backends.engine import ENGINE_ERRORS, connect, engine_errors
from sandbox.backends.leftovers import process_start_time
from sandbox.errors import BackendError, CellLost
from sandbox.protocol import MIB, Limits

LABEL = "coderl.sandbox"
OWNER_LABEL = "coderl.sandbox.owner"
_BACKEND_LABEL = "coderl.sandbox.backend"
_SOCKET_FOLDER = "/run/coderl"
_OVERHEAD_BYTES: Mapping[Role, int] = {"program": 32 * MIB, "judge": 96 * MIB}  # the supervisor's own
_PIDS = 256  # a second line: programs are bounded by RLIMIT_NPROC
_INODES = 16384
_CPUS = 1  # a program's processes together


_log = logging.getLogger(__name__)


class Container(Protocol):
    """What we use of the untyped SDK's class."""

    id: str
    labels: dict[str, str]
    attrs: dict[str, Any]

    def start(self) -> None: ...
    def reload(self) -> None: ...
    def remove(self, *, force: bool, v: bool) -> None: ...
    def update(self, **limits: object) -> None: ...


class ContainerHandle:
    def __init__(self, container: Container, memory_bytes: int) -> None:
        self.container = container
        self.memory_bytes = memory_bytes

    def destroy(self) -> None:
        try:
            self.container.remove(force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # 409: its removal is under way
                _log.warning(
                    "container %s is left for the next start to remove: %s", self.container.id[:12], error
                )
        except ENGINE_ERRORS as error:
            _log.warning(
                "container %s is left for the next start to remove: %s", self.container.id[:12], error
            )

    def autopsy(self) -> tuple[str, bool]:
        deadline = time.monotonic() + 2.0
        while True:
            try:
                self.container.reload()
            except ENGINE_ERRORS as error:
                return f"the engine says: {as_text(error)}", False
            state = self.container.attrs["State"]
            if not state["Running"] or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        out_of_memory = bool(state["OOMKilled"]) and not state["Running"]
        return (
            f"container {state['Status']}, exit code {state['ExitCode']}, OOMKilled {state['OOMKilled']}",
            out_of_memory,
        )


class DockerBackend:
    """`images` maps each role to an image id; `runtime` names the engine's runtime (None: its default)."""

    name = "docker"
    unenforced: tuple[str, ...] = ()

    def __init__(self, images: Mapping[Role, str], *, runtime: str | None = None) -> None:
        self._images = dict(images)
        self._runtime = runtime
        self._mark = secrets.token_hex(8)  # on every container of this backend
        self._client = connect()
        try:
            with engine_errors():
                self._uids = _user_ids(self._client)
                remove_orphans(self._client)
            self._stage = Stage()
        except BackendError:
            self._client.close()
            raise

    def image(self, role: Role) -> str:
        return self._images[like(role)]

    def open_cell(self, role: Role, limits: Limits) -> Cell:
        uid = unprivileged_uid(*self._uids)
        folder = self._stage.folder / secrets.token_hex(8)
        memory = limits.memory_bytes + _OVERHEAD_BYTES[like(role)]
        settings = {"role": role, "uid": uid, "socket": f"{_SOCKET_FOLDER}/control"}
        handle: ContainerHandle | None = None
        try:
            with listening_socket(folder) as listener:
                container = self._create(role, settings, folder, limits, memory)
                handle = ContainerHandle(container, limits.memory_bytes)
                container.start()
                control = self._accept(listener, handle)
            folder.rmdir()
            cell = Cell(role, control, handle)
        except ENGINE_ERRORS as error:
            if handle:
                handle.destroy()
            raise BackendError(f"the engine cannot run a container: {as_text(error)}") from error
        except (BackendError, CellLost, OSError) as error:
            if handle:
                handle.destroy()
            raise BackendError(f"a container did not start: {error}") from error
        if not cell.has_cgroup:
            cell.destroy()
            raise BackendError("a container has no cgroup of its own", "Give the engine cgroup limits.")
        return cell

    def fit(self, cell: Cell, limits: Limits) -> None:
        handle = cast(ContainerHandle, cell.handle)
        if handle.memory_bytes == limits.memory_bytes:
            return
        memory = limits.memory_bytes + _OVERHEAD_BYTES[like(cell.role)]
        try:
            handle.container.update(mem_limit=memory, memswap_limit=memory)
        except ENGINE_ERRORS as error:
            raise CellLost(
                f"the engine cannot change a container's memory limit: {as_text(error)}", ours=True
            ) from None
        handle.memory_bytes = limits.memory_bytes

    def close(self) -> None:
        """Also removes what could not be removed while the engine was away."""
        try:
            for container in self._client.containers.list(
                all=True, ignore_removed=True, filters={"label": f"{_BACKEND_LABEL}={self._mark}"}
            ):
                ContainerHandle(container, 0).destroy()
        except ENGINE_ERRORS as error:
            _log.warning("what is left is for the next start to remove: %s", as_text(error))
        self._stage.remove()
        self._client.close()

    def _create(
        self, role: Role, settings: Mapping[str, object], folder: Path, limits: Limits, memory: int
    ) -> Container:
        container = self._client.containers.create(
            self._images[like(role)],
            entrypoint=["python3", *PYTHON_FLAGS, *BOOT, json.dumps(settings)],
            command=[],
            environment=ENVIRONMENT,
            user="0:0",
            working_dir="/",
            hostname="cell",
            **isolation(limits, memory),
            mounts=[
                Mount(STAGE, str(self._stage.code), type="bind", read_only=True),
                Mount(_SOCKET_FOLDER, str(folder), type="bind", read_only=True),
            ],
            labels={LABEL: installation(), OWNER_LABEL: _owner(), _BACKEND_LABEL: self._mark},
            init=False,
            runtime=self._runtime,
        )
        return cast(Container, container)

    @staticmethod
    def _accept(listener: socket.socket, handle: ContainerHandle) -> socket.socket:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                control, _ = listener.accept()
            except TimeoutError:
                handle.container.reload()
                if handle.container.attrs["State"]["Running"]:
                    continue
                break
            control.setblocking(True)
            return control
        why, _ = handle.autopsy()
        raise BackendError(f"its supervisor did not connect ({why})")


def isolation(limits: Limits, memory_bytes: int) -> dict[str, Any]:
    """The flags that isolate a container. What each one prevents is shown in tests/sandbox/test_flags.py."""
    tmpfs = f"rw,noexec,nosuid,nodev,mode=1777,size={limits.scratch_bytes},nr_inodes={_INODES}"
    return {
        "network_mode": "none",
        "ipc_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": ["SETUID", "SETGID", "KILL"],  # the supervisor's; programs have none
        "security_opt": ["no-new-privileges"],
        "mem_limit": memory_bytes,
        "memswap_limit": memory_bytes,
        "pids_limit": _PIDS,
        "nano_cpus": _CPUS * 10**9,
        "tmpfs": {"/tmp": tmpfs, "/dev/shm": tmpfs, "/dev/mqueue": "ro,nr_inodes=1"},
        "log_config": LogConfig(type="none"),
    }


def installation() -> str:
    """Names this installation and user: only its own leftovers are ever cleaned up.

    The pid namespace is part of it, as owners are known by their process number.
    """
    parts = (str(Path(__file__).resolve()), str(os.geteuid()), os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def remove_orphans(client: Any) -> int:
    """Remove this installation's containers whose owner is dead; returns how many."""
    removed = 0
    for container in client.containers.list(
        all=True, ignore_removed=True, filters={"label": f"{LABEL}={installation()}"}
    ):
        pid, _, started = container.labels.get(OWNER_LABEL, "").partition(":")
        if pid.isdigit() and process_start_time(int(pid)) != started:
            ContainerHandle(container, 0).destroy()
            removed += 1
    return removed


def _owner() -> str:
    return f"{os.getpid()}:{process_start_time(os.getpid())}"


def _user_ids(client: Any) -> tuple[int, int]:
    """The range that programs' user ids come from, by what the engine maps."""
    options = " ".join(client.info().get("SecurityOptions") or ())
    return (
        (20_000, 60_000) if "userns" in options or "rootless" in options else (1_000_000_000, 2_000_000_000)
    )
