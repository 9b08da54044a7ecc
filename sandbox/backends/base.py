"""What a backend is, and what all of them share: the staged code and the supervisor's start-up line."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sandbox import inside
from sandbox.backends.cell import Cell, Role
from sandbox.backends.leftovers import remove_orphans, this_process
from sandbox.errors import BackendError
from sandbox.protocol import Limits

_PREFIX = "coderl-sandbox-"
_OWNER = "owner"  # a file that names the process whose folder it is
STAGE = "/coderl"  # where the staged code is mounted in a cell
START_SECONDS = 30.0
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LD_BIND_NOW": "1",  # bind once, not in each process; the supervisor removes it from the environment
}
# -P and -s keep the working directory and user packages out; not -I, which would drop the fixed hash seed.
PYTHON_FLAGS = ("-s", "-P", "-X", "utf8")
_BOOT = f"import sys; sys.path.insert(0, {STAGE!r}); from sandbox.inside.boot import main; main(sys.argv[1:])"
BOOT = ("-c", _BOOT)


class Backend(Protocol):
    """Opens cells. Recorded in outcomes: `image(role)`, what programs find inside; `unenforced`, what it cannot
    enforce."""

    name: str
    unenforced: tuple[str, ...]

    def image(self, role: Role) -> str: ...

    def open_cell(self, role: Role, limits: Limits) -> Cell:
        """A fresh cell that bounds programs by `limits`. Raises `BackendError`."""
        ...

    def fit(self, cell: Cell, limits: Limits) -> None:
        """Make an idle cell's memory bound that of `limits`. Raises `CellLost`."""
        ...

    def close(self) -> None: ...


class Stage:
    """A private folder with a copy of `sandbox/inside`, readable to any user id, and room for sockets.

    A copy, since the package may lie where a cell's users cannot read it.
    """

    def __init__(self) -> None:
        """Also removes those of killed owners. Raises `BackendError`."""
        try:
            place = Path(tempfile.gettempdir())
            remove_orphans(place, _PREFIX, _owner_of)
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))  # mode 0700
            self.code = self.folder / "code"
            self._fill()
        except OSError as error:
            raise host_failure(error) from error

    def _fill(self) -> None:
        try:
            (self.folder / _OWNER).write_text(this_process())
            only_source = shutil.ignore_patterns("__pycache__", "*.md")
            shutil.copytree(
                Path(inside.__file__).parent, self.code / "sandbox" / "inside", ignore=only_source
            )
            (self.code / "sandbox" / "__init__.py").touch()
            for path in [self.code, *self.code.rglob("*")]:
                path.chmod(0o755 if path.is_dir() else 0o644)
        except OSError:
            self.remove()
            raise

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _owner_of(folder: Path) -> str:
    return (folder / _OWNER).read_text()


@contextmanager
def listening_socket(folder: Path) -> Iterator[socket.socket]:
    """A unix socket at `folder`/control for one supervisor to connect to; it is gone afterwards.

    Any user id may connect: the caller takes the first connection, before any program runs there.
    """
    folder.mkdir()
    folder.chmod(0o755)
    path = folder / "control"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(str(path))
            path.chmod(0o666)
            listener.listen(1)
            listener.settimeout(0.2)
            yield listener
        finally:
            path.unlink(missing_ok=True)


def host_failure(error: OSError) -> BackendError:
    return BackendError(
        f"this host failed: {as_text(error)}",
        "It may be out of disk space (of the temporary folder), descriptors (`ulimit -n`) or memory.",
    )


def as_text(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__


def unprivileged_uid(first: int, last: int) -> int:
    """A random user id: it must differ between all cells of a host, as process limits count by user id."""
    span = last - first
    if span <= 0:
        raise BackendError("no user ids to give to programs")
    return first + int.from_bytes(os.urandom(8), "big") % span
