"""Cells as ordinary processes that lock themselves in: where neither an engine nor namespaces are available.

Needs no privilege at all, only a kernel with Landlock and seccomp, as pods have. Weaker than the others (see the
table in `README.md` here), so it is chosen last and announced.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from sandbox.backends import leftovers, packages
from sandbox.backends.base import ENVIRONMENT, PYTHON_FLAGS, Stage, as_text
from sandbox.backends.cell import ROLES, Cell, Role, like
from sandbox.backends.host import ProcessHandle, interpreter, interpreter_name
from sandbox.errors import BackendError, CellLost
from sandbox.inside.supervisor import landlock
from sandbox.protocol import Limits

_AMPLE_BYTES = 2 << 30  # more than a pod's usual 64 MiB of /dev/shm
_PREFIX = "coderl-cell-"
_DEVICES = ("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_DATA = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/locale")
_PACKAGES = ("site-packages", "dist-packages")  # may hold a benchmark's tests, for instance
_BOOT = "import sys; sys.path += {folders}; from sandbox.inside.boot import main; main(sys.argv[1:])"


class ConfinedHandle(ProcessHandle):
    def __init__(self, process: subprocess.Popen[bytes], errors: Path, folder: Path) -> None:
        super().__init__(process, errors, "supervisor")
        self._folder = folder

    def destroy(self) -> None:
        super().destroy()
        if self._folder.exists():
            leftovers.remove(self._folder)


class ConfinedBackend:
    name = "confined"
    unenforced: tuple[str, ...] = (
        "processes: none but the program's own; threads and memory are counted every 10 ms",
        "names, sizes and times of the user's files can be seen, their content cannot",
        "program, judge and pool have one user id",
    )

    def __init__(self, requirements: Collection[str] = ()) -> None:
        """Raises `BackendError`, also where `requirements` are not available."""
        version = landlock.abi()
        if version < landlock.LEAST_ABI:
            raise BackendError(
                f"the kernel offers Landlock version {version}, and {landlock.LEAST_ABI} is the least that will do",
                "Use Linux 6.2 or later with `landlock` in its `lsm=` list, or another backend.",
            )
        self._required = packages.folder_of(requirements)
        self._stage = Stage()
        self._scratch = _scratch_place(self._stage.folder)
        self._owner = leftovers.this_process()
        leftovers.remove_orphans(self._scratch, _PREFIX, _owner_of)
        self._linked = self._stage.folder / "packages"
        self._linked.mkdir()
        self._packages: dict[Role, list[str]] = {}
        for role in ROLES:
            folder = self._linked / role
            folder.mkdir()
            required = {path.name: path for path in self._required.iterdir()} if self._required else {}
            for name, path in (packages.of_our_own(role) | required).items():
                (folder / name).symlink_to(path)
            self._packages[role] = [str(path) for path in folder.iterdir()]

    def image(self, role: Role) -> str:
        return interpreter_name(self._required)

    def open_cell(self, role: Role, limits: Limits) -> Cell:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{self._owner}-", dir=self._scratch))
        errors = self._stage.folder / f"{folder.name}.errors"
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        place = {
            "host": os.getpid(),
            "folder": str(folder),
            "folder_bytes": limits.scratch_bytes,
            "listable": [str(_module_folder()), str(self._linked / like(role))],
            "readable": [*_readable(), str(self._stage.code), *self._packages[like(role)]],
        }
        settings = {"role": role, "control_fd": theirs.fileno(), "place": place}
        boot = _BOOT.format(folders=[str(self._stage.code), str(self._linked / like(role))])
        try:
            with theirs, errors.open("wb") as stderr:
                process = subprocess.Popen(
                    [interpreter(), *PYTHON_FLAGS, "-S", "-c", boot, json.dumps(settings)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    pass_fds=[theirs.fileno()],
                    env={**ENVIRONMENT, "HOME": str(folder), "TMPDIR": str(folder)},
                    cwd="/",
                    start_new_session=True,  # Ctrl-C at the terminal is for us alone
                )
        except OSError as error:
            ours.close()
            folder.rmdir()
            raise BackendError(f"the interpreter cannot be started: {as_text(error)}") from error
        handle = ConfinedHandle(process, errors, folder)
        try:
            return Cell(role, ours, handle)
        except CellLost as error:
            ours.close()
            handle.destroy()
            raise BackendError(f"a confined process did not start: {error}") from error

    def fit(self, cell: Cell, limits: Limits) -> None:
        """Nothing to do: the supervisor learns the limit with each program."""

    def close(self) -> None:
        self._stage.remove()


def _owner_of(folder: Path) -> str:
    return folder.name.removeprefix(_PREFIX).rpartition("-")[0]


def _scratch_place(usual: Path) -> Path:
    """In memory, as in the other backends, where there is enough of it for all cells."""
    shared = Path("/dev/shm")
    with suppress(OSError):
        found = os.statvfs(shared)
        if found.f_bavail * found.f_frsize >= _AMPLE_BYTES and os.access(shared, os.W_OK):
            return shared
    return usual


def _module_folder() -> Path:
    return Path(os.__file__).resolve().parent


def _library_folders() -> list[Path]:
    multiarch = sysconfig.get_config_var("MULTIARCH") or "lib64"
    folders = map(Path, ("/lib64", "/usr/lib64", f"/usr/lib/{multiarch}", f"{sys.base_prefix}/lib"))
    return [folder for folder in folders if folder.is_dir()]


def _readable() -> list[str]:
    """The interpreter's modules and shared libraries, without installed packages."""
    modules = [path for path in _module_folder().iterdir() if path.name not in _PACKAGES]
    libraries = [path for folder in _library_folders() for path in folder.glob("*.so*")]
    return [str(path) for path in (*map(Path, (*_DEVICES, *_DATA)), *modules, *libraries) if path.exists()]
