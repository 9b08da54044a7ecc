"""The scratch folder that test and program both name: each side tells the other what changed in it.

Program and judge each have a folder of the same path, and no mount in common. What crosses are entries

    [path, kind, mode, mtime_ns, content]     kind: "file" (content: bytes), "folder", "link" (content: its target),
                                              "gone"

and from the program none that the judge's process could take for code or follow elsewhere.
"""

from __future__ import annotations

import posix  # not `os`: a test may have patched that
import stat
from time import time_ns
from typing import Any

from sandbox.inside.values.plain import CodecError

SCRATCH = "/tmp"  # the one path under which both sides have theirs, on backends that can share files
MAX_BYTES = 8 << 20  # of one message's files
_MAX_TOTAL = 64 << 20  # of all that a program sends
_MAX_ENTRIES = 2_000  # in the folder
_MAX_DEPTH = 20
_RACY_NS = 50_000_000  # a file may change again within one tick of its clock
# What Python, pytest or a shell could take for code. A program's files never have the mode to be executed.
_CODE = (".py", ".pyc", ".pyo", ".pyw", ".pyx", ".pth", ".so", ".pyz", ".egg", ".whl", ".sh", ".bash")
_CONFIGURATION = frozenset(
    {"pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml", "__pycache__"}
)

Signature = tuple[int, int, int, int, int]


class UnsafeFile(Exception):
    """The program left what may not cross to its test."""


class TooMuch(Exception):
    """More files, or larger ones, than can cross."""


class Files:
    def __init__(self, root: str, *, trusts: bool, hidden: frozenset[str] = frozenset()) -> None:
        """`trusts`: the other side is the judge. `hidden` are paths that stay on this side."""
        self._root = root
        self._trusts = trusts
        self.hidden = hidden
        self._total = 0
        self._hashes: dict[str, int] = {}  # of the content of files that changed a moment ago
        self._known = dict(self._scan())

    def collect(self) -> list[list[Any]]:
        """What changed here since the last time. Raises `TooMuch`."""
        found = dict(self._scan())
        entries: list[list[Any]] = []
        for path in sorted(self._known.keys() - found.keys(), reverse=True):
            entries.append([path, "gone", 0, 0, None])
        budget = MAX_BYTES
        for path, signature in found.items():
            before = self._known.get(path)
            if before == signature and path not in self._hashes:
                continue
            if before is not None and stat.S_IFMT(before[0]) != stat.S_IFMT(signature[0]):
                entries.append([path, "gone", 0, 0, None])
            entry = self._entry(path, signature, budget, seen=before == signature)
            if entry is not None:
                budget -= len(entry[4] or "")
                entries.append(entry)
        self._known = found
        return entries

    def apply(self, entries: Any) -> None:
        """Does here what the other side did there. From the program: raises `UnsafeFile` or `CodecError`."""
        if type(entries) is not list or len(entries) > 2 * _MAX_ENTRIES:
            raise CodecError("malformed files")
        for entry in entries:
            path, kind, mode, mtime, content = entry
            if not self._trusts:
                self._check(path, kind, mode, mtime, content)
            self._do(f"{self._root}/{path}", kind, mode, mtime, content)
        for path, *_ in entries:
            try:
                status = posix.lstat(f"{self._root}/{path}")
            except OSError:
                self._known.pop(path, None)
            else:
                self._known[path] = _signature(status)
            self._hashes.pop(path, None)

    def _scan(self) -> list[tuple[str, Signature]]:
        """Files, folders and links beneath the root, each folder before what it holds."""
        found: list[tuple[str, Signature]] = []
        folders = [("", 0)]
        while folders:
            folder, depth = folders.pop()
            try:
                entries = list(posix.scandir(f"{self._root}/{folder}"))
            except OSError:  # closed, or gone meanwhile
                continue
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if path in self.hidden or entry.name == "__pycache__":
                    continue
                status = entry.stat(follow_symlinks=False)
                kind = stat.S_IFMT(status.st_mode)
                if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                    continue
                found.append((path, _signature(status)))
                if kind == stat.S_IFDIR:
                    folders.append((path, depth + 1))
                if len(found) > _MAX_ENTRIES or depth > _MAX_DEPTH:
                    raise TooMuch(f"more than {_MAX_ENTRIES} files, or folders deeper than {_MAX_DEPTH}")
        return found

    def _entry(self, path: str, signature: Signature, budget: int, *, seen: bool) -> list[Any] | None:
        mode, _size, mtime, *_ = signature
        full = f"{self._root}/{path}"
        if stat.S_ISDIR(mode):
            return None if seen else [path, "folder", mode & 0o777, 0, None]
        if stat.S_ISLNK(mode):
            return None if seen else [path, "link", 0, 0, posix.readlink(full)]
        content = _read(full, budget)
        was = self._hashes.pop(path, None)
        if time_ns() - max(mtime, signature[4]) < _RACY_NS:
            self._hashes[path] = hash(content)
        if seen and was == hash(content):
            return None
        return [path, "file", mode & 0o777, mtime, content]

    def _check(self, path: Any, kind: Any, mode: Any, mtime: Any, content: Any) -> None:
        if type(path) is not str or len(path) > 4096 or "\0" in path:
            raise CodecError("malformed path")
        names = path.split("/")
        if not names or {"", ".", ".."} & set(names) or path in self.hidden:
            raise UnsafeFile(f"a file outside the folder: {path[:200]!r}")
        if len(names) > _MAX_DEPTH or kind not in ("file", "folder", "gone"):
            raise UnsafeFile(f"neither a file nor a folder: {path[:200]!r}")
        lowered = [name.lower() for name in names]
        if _CONFIGURATION & set(lowered) or any(name.endswith(_CODE) for name in lowered):
            if kind == "gone":  # the test's own, deleted
                return
            raise UnsafeFile(f"a file that could be taken for code of the test's: {path[:200]!r}")
        if (
            type(mode) is not int
            or not 0 <= mode <= 0o777
            or type(mtime) is not int
            or not 0 <= mtime < 1 << 62
        ):
            raise CodecError("malformed file")
        if type(content) is not (bytes if kind == "file" else type(None)):
            raise CodecError("malformed file")
        for depth in range(1, len(names)):
            parent = f"{self._root}/{'/'.join(names[:depth])}"
            if not stat.S_ISDIR(posix.lstat(parent).st_mode):
                raise UnsafeFile(f"a file beneath what is no folder: {path[:200]!r}")
        self._total += len(content or b"")
        if self._total > _MAX_TOTAL or path not in self._known and len(self._known) > 2 * _MAX_ENTRIES:
            raise UnsafeFile("more files than can cross")

    def _do(self, full: str, kind: str, mode: int, mtime: int, content: Any) -> None:
        if kind == "gone":
            _remove(full)
        elif kind == "folder":
            if not stat.S_ISDIR(_mode(full)):
                posix.mkdir(full)
            posix.chmod(full, mode | 0o700)
        elif kind == "link":
            _remove(full)
            posix.symlink(content, full)
        else:
            if not self._trusts:
                mode &= ~0o111
            _write(full, content)
            posix.utime(full, ns=(mtime, mtime))
            posix.chmod(full, mode)


def _signature(status: Any) -> Signature:
    if stat.S_ISDIR(status.st_mode):  # what it holds is seen in what it holds
        return status.st_mode, 0, 0, status.st_ino, 0
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def _read(full: str, budget: int) -> bytes:
    try:
        descriptor = posix.open(full, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    except OSError:  # closed to its owner
        return b""
    try:
        parts = []
        while part := posix.read(descriptor, 1 << 20):
            parts.append(part)
            budget -= len(part)
            if budget < 0:
                raise TooMuch(f"files of more than {MAX_BYTES} bytes")
        return b"".join(parts)
    finally:
        posix.close(descriptor)


def _write(full: str, content: bytes) -> None:
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW | posix.O_CLOEXEC
    try:
        descriptor = posix.open(full, flags, 0o600)
    except PermissionError:  # closed to its owner
        posix.chmod(full, 0o600)
        descriptor = posix.open(full, flags, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[posix.write(descriptor, view) :]
    finally:
        posix.close(descriptor)


def _remove(full: str) -> None:
    if stat.S_ISDIR(mode := _mode(full)):
        posix.rmdir(full)
    elif mode:
        posix.unlink(full)


def _mode(full: str) -> int:
    """That of a file, folder or link; 0 where there is none."""
    try:
        return posix.lstat(full).st_mode
    except FileNotFoundError:
        return 0
