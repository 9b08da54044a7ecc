"""What `confined` cells hold back, run by an ordinary user without any capability, as in a cluster's pod."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sandbox
from sandbox.backends.confined import ConfinedBackend
from sandbox.errors import BackendError
from sandbox.inside.supervisor import landlock
from sandbox.pool import opening
from sandbox.protocol import MIB, Job, Judge, Limits, Status
from tests.sandbox.ordinary import LIMITS, OrdinaryUser, ordinary_user

pytestmark = pytest.mark.skipif(
    landlock.abi() < landlock.LEAST_ABI, reason="this kernel's Landlock will not do"
)


@pytest.fixture(scope="module")
def shared_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrdinaryUser]:
    with ordinary_user(tmp_path_factory.mktemp("user"), "confined") as user:
        yield user


@pytest.fixture
def user(shared_user: OrdinaryUser) -> Iterator[OrdinaryUser]:
    """The next program is unaffected, and runs where this one ran."""
    yield shared_user
    after = shared_user.call("import os\ndef f(x):\n    return os.listdir('.'), x\n", 1)
    assert [test.value for test in after.tests] == [([], 1)], after
    assert (after.backend, after.attempts) == ("confined", 1), after.detail


TRY = """
import os
def attempt(action, *arguments):
    try:
        return action(*arguments) is None or "done"
    except OSError as error:
        return error.errno in (1, 11, 13, 18, 97) and "denied" or error.errno
"""


def test_no_privilege_is_left(user: OrdinaryUser) -> None:
    program = (
        "import ctypes, os\nlibc = ctypes.CDLL(None)\n"
        "def f(x):\n"
        "    data = ctypes.create_string_buffer(24)\n"
        "    assert libc.capget(b'\\x22\\x05\\x08\\x20' + bytes(4), data) == 0\n"
        "    return data.raw == bytes(24), libc.prctl(39, 0, 0, 0, 0), libc.prctl(21), os.getuid() != 0\n"
    )
    assert user.value(program) == (True, 1, 2, True)


def test_other_files_can_be_neither_read_nor_changed(user: OrdinaryUser) -> None:
    """Not even those that the same user owns; so the judge's and other cells' are safe, too."""
    own = user.folder / "own"
    own.mkdir(exist_ok=True)
    secret = own / "secret"
    secret.write_text("secret")
    for path in (own, secret):
        os.chown(path, user.folder.stat().st_uid, -1)
    before = secret.stat()
    program = TRY + (
        "actions = {\n"
        "    'read': lambda p: open(p).read(),\n"
        "    'list': lambda p: os.listdir(os.path.dirname(p)),\n"
        "    'write': lambda p: open(p, 'w'),\n"
        "    'truncate while reading': lambda p: os.open(p, os.O_RDONLY | os.O_TRUNC),\n"
        "    'truncate': lambda p: os.truncate(p, 0),\n"
        "    'chmod': lambda p: os.chmod(p, 0o777),\n"
        "    'utime': lambda p: os.utime(p, (1, 1)),\n"
        "    'setxattr': lambda p: os.setxattr(p, 'user.x', b'x'),\n"
        "    'unlink': os.unlink,\n"
        "    'rename away': lambda p: os.rename(p, 'mine'),\n"
        "    'link': lambda p: os.link(p, 'mine'),\n"
        "    'make': lambda p: open(p + '2', 'x'),\n"
        "    'make folder': lambda p: os.mkdir(p + '3'),\n"
        "    'unnamed': lambda p: os.open('.', os.O_TMPFILE | os.O_RDWR) and 1 / 0,\n"
        "}\n"
        "def f(path):\n"
        "    os.symlink(path, 'link')\n"
        "    through = attempt(lambda: open('link').read())\n"
        "    return {k: attempt(a, path) for k, a in actions.items() if k != 'unnamed'} | {'link to it': through}\n"
    )
    assert set(user.value(program, str(secret)).values()) == {"denied"}
    assert secret.read_text() == "secret"
    assert (secret.stat().st_mode, secret.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/self/status",
        "/proc/self/mem",
        "/proc/{pool}/environ",
        "/proc/{pool}/cmdline",
        "/proc/net/unix",
        "/sys/kernel/mm",
    ],
)
def test_the_host_cannot_be_looked_at(user: OrdinaryUser, path: str) -> None:
    program = TRY + "def f(p):\n    return attempt(lambda: open(p, 'rb').read(1)), attempt(os.listdir, '/')\n"
    assert user.value(program, path.format(pool=user.process.pid)) == ("denied", "denied")


def test_what_needs_no_opening_tells_nothing_of_content(user: OrdinaryUser) -> None:
    """Links of other processes, extended attributes, and flags of files that may be read."""
    program = TRY + (
        "import fcntl\n"
        "def f(pool):\n"
        "    found = {f'{pid} {name}': attempt(os.readlink, f'/proc/{pid}/{name}')\n"
        "             for pid in (pool, os.getppid(), 1) for name in ('exe', 'cwd', 'root', 'fd/0', 'ns/net')}\n"
        "    with open(os.__file__) as library:\n"
        "        found['flags'] = attempt(fcntl.ioctl, library, 0x40086602, bytes(8))\n"
        "        found['verity'] = attempt(fcntl.ioctl, library, 0x40806685, bytes(128))\n"
        "        found['lease'] = attempt(fcntl.fcntl, library, fcntl.F_SETLEASE, fcntl.F_RDLCK)\n"
        "        assert not library.isatty()\n"
        "    assert attempt(os.getxattr, os.__file__, 'user.x') == attempt(os.listxattr, os.__file__) == 95\n"
        "    return {k: v for k, v in found.items() if v != 'denied'}\n"
    )
    assert user.value(program, user.process.pid) == {}


def test_places_that_everyone_may_write_to_are_closed(user: OrdinaryUser) -> None:
    program = TRY + "def f(places):\n    return {attempt(open, p + '/x', 'w') for p in places}\n"
    places = ["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", str(user.folder)]
    assert user.value(program, places) <= {"denied", 2}  # 2: not there at all


def test_other_processes_are_out_of_reach(user: OrdinaryUser) -> None:
    """All of them run under the program's own user id, so the kernel alone would let it."""
    program = TRY + (
        "import ctypes, fcntl, resource, signal, socket\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def call(name, *arguments):\n"
        "    if getattr(libc, name)(*arguments) == -1: raise OSError(ctypes.get_errno(), name)\n"
        "def own(fd, pid):\n    fcntl.fcntl(fd, fcntl.F_SETOWN, pid)\n"
        "def f(target):\n"
        "    ours, theirs = socket.socketpair()\n"
        "    buffer = ctypes.create_string_buffer(64)\n"
        "    tried = {}\n"
        "    for pid in (target, os.getppid(), 1, -1, 0, -os.getppid()):\n"
        "        for number in (0, signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGIO, 64):\n"
        "            tried[pid, number] = attempt(os.kill, pid, number)\n"
        "    for pid in (target, os.getppid()):\n"
        "        tried[pid, 'tgkill'] = attempt(call, 'syscall', 234, pid, pid, 9)\n"
        "        tried[pid, 'tkill'] = attempt(call, 'syscall', 200, pid, 9)\n"
        "        tried[pid, 'pidfd'] = attempt(os.pidfd_open, pid)\n"
        "        tried[pid, 'owner'] = attempt(own, ours.fileno(), pid)\n"
        "        tried[pid, 'ioctl'] = attempt(fcntl.ioctl, ours.fileno(), 0x8901, pid.to_bytes(4, 'little'))\n"
        "        tried[pid, 'limit'] = attempt(call, 'prlimit64', pid, resource.RLIMIT_CPU, bytes(16), None)\n"
        "        tried[pid, 'affinity'] = attempt(os.sched_setaffinity, pid, [0])\n"
        "        tried[pid, 'scheduler'] = attempt(os.sched_setscheduler, pid, os.SCHED_IDLE, os.sched_param(0))\n"
        "        tried[pid, 'attach'] = attempt(call, 'ptrace', 16, pid, 0, 0)\n"
        "        tried[pid, 'read'] = attempt(call, 'process_vm_readv', pid, buffer, 1, buffer, 1, 0)\n"
        "        tried[pid, 'nice'] = attempt(os.setpriority, os.PRIO_PROCESS, pid, 19)\n"
        "    tried['all nice'] = attempt(os.setpriority, os.PRIO_USER, 0, 19)\n"
        "    tried['outlive'] = attempt(call, 'prctl', 1, 0, 0, 0, 0)\n"
        "    tried['hide'] = attempt(call, 'prctl', 4, 0, 0, 0, 0)\n"
        "    return {str(k): v for k, v in tried.items() if v != 'denied'}\n"
    )
    assert user.value(program, user.process.pid) == {}
    assert os.getpriority(os.PRIO_PROCESS, user.process.pid) == os.getpriority(os.PRIO_PROCESS, 0)


def test_it_may_signal_and_limit_itself(user: OrdinaryUser) -> None:
    program = (
        "import os, resource, signal\n"
        "def f(x):\n"
        "    heard = []\n"
        "    signal.signal(signal.SIGUSR1, lambda *a: heard.append(1))\n"
        "    os.kill(os.getpid(), signal.SIGUSR1); signal.raise_signal(signal.SIGUSR1)\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))\n"
        "    return len(heard)\n"
    )
    assert user.value(program) == 2


def test_there_are_no_other_processes_but_threads(user: OrdinaryUser) -> None:
    program = TRY + (
        "import ctypes, subprocess, threading\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def raw(flags):\n"
        "    if libc.syscall(56, flags, None, None, None, 0) == -1: raise OSError(ctypes.get_errno(), 'clone')\n"
        "def f(x):\n"
        "    found = [attempt(os.fork), attempt(subprocess.run, ['true']), attempt(os.posix_spawn, '/bin/true', ['x'], {}),\n"
        "             attempt(os.execv, '/bin/true', ['true']), attempt(raw, 17), attempt(raw, 0x100 | 17),\n"
        "             attempt(raw, 0x100 | 0x800 | 0x10000)]  # a thread with a file table of its own\n"
        "    threads = [threading.Thread(target=found.append, args=('thread',)) for _ in range(4)]\n"
        "    [t.start() for t in threads]; [t.join() for t in threads]\n"
        "    return found\n"
    )
    assert user.value(program) == ["denied"] * 7 + ["thread"] * 4


def test_more_threads_than_processes_are_allowed_end_the_program(user: OrdinaryUser) -> None:
    program = (
        "import threading, time\n"
        "def f(x):\n"
        "    threading.stack_size(1 << 18)\n"
        "    for _ in range(200): threading.Thread(target=time.sleep, args=(3,), daemon=True).start()\n"
        "    time.sleep(3)\n"
    )
    assert user.call(program).status is Status.KILLED


def test_no_socket_but_a_connected_pair(user: OrdinaryUser) -> None:
    program = TRY + (
        "import socket\n"
        "def f(x):\n"
        "    one, two = socket.socketpair()\n"
        "    one.send(b'x'); assert two.recv(1) == b'x'\n"
        "    kinds = [(socket.AF_UNIX, 1), (socket.AF_UNIX, 2), (socket.AF_INET, 1), (socket.AF_INET6, 2), (16, 2), (17, 2), (40, 1)]\n"
        "    found = [attempt(socket.socket, *kind) for kind in kinds]\n"
        "    found += [attempt(socket.socketpair, socket.AF_UNIX, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)]\n"
        "    found += [attempt(one.bind, '\\0name'), attempt(one.connect, '\\0name'), attempt(one.listen)]\n"
        "    return set(found)\n"
    )
    assert user.value(program) == {"denied"}


@pytest.mark.parametrize(
    "hold",
    [
        "open('a', 'wb').write(bytes(30 << 20)); open('b', 'wb').write(bytes(30 << 20))",
        "files = [open(str(n), 'wb') for n in range(3)]; [os.unlink(str(n)) for n in range(3)]; [f.write(bytes(20 << 20)) for f in files]",
        "maps = [hide(n) for n in range(3)]",
        "[os.mkdir(str(n)) for n in range(100_000)]",
        "os.mkdir('a'); os.mkdir('a/b', 0)",
        "[os.mkdir('d') or os.chdir('d') for _ in range(3000)]",
    ],
    ids=["files", "deleted files", "mapped deleted files", "folders", "closed folder", "deep folders"],
)
def test_scratch_is_bounded_where_nothing_bounds_it_but_the_supervisor(user: OrdinaryUser, hold: str) -> None:
    program = (
        "import mmap, os, time\n"
        "def hide(n):\n"
        "    with open(str(n), 'w+b') as file:\n"
        "        os.unlink(str(n)); file.truncate(20 << 20)\n"
        "        return mmap.mmap(file.fileno(), 20 << 20)\n"
        "def f(x):\n"
        f"    {hold}\n"
        "    time.sleep(2)\n"
    )
    assert user.call(program).status is Status.MEMORY


def test_files_deleted_by_the_program_do_not_count(user: OrdinaryUser) -> None:
    program = (
        "import os, tempfile\n"
        "def f(x):\n"
        "    for n in range(20):\n"
        "        with tempfile.TemporaryFile() as file: file.write(bytes(4 << 20))\n"
        "        with tempfile.NamedTemporaryFile() as file: file.write(bytes(4 << 20))\n"
        "    return os.listdir('.')\n"
    )
    assert user.value(program) == []


# Reads every page near anything it knows of, without /proc: the kernel says which are there.
SCAN = """
import ctypes, os, re
libc = ctypes.CDLL(None)
libc.sbrk.restype = ctypes.c_void_p
def pages():
    source, sink = os.pipe()
    seen, found = set(), set()
    hints = [id(seen), id(pages), id(object), ctypes.cast(libc.write, ctypes.c_void_p).value, libc.sbrk(0) - 1,
             ctypes.c_void_p.in_dll(libc, "environ").value]
    for hint in hints:
        for step in (4096, -4096):
            page, missing = hint & -4096, 0
            while missing < 8192:
                if page not in seen and libc.write(sink, ctypes.c_void_p(page), 4096) == 4096:
                    seen.add(page)
                    found.update(re.findall(rb"SECRET-[0-9a-f]{8}", os.read(source, 4096)))
                missing = 0 if page in seen else missing + 1
                page += step
    return sorted(found)
def f(x):
    return pages()
"""


def test_secrets_of_other_payloads_are_not_in_a_programs_memory(user: OrdinaryUser) -> None:
    roomy = Limits(cpu_seconds=20.0, wall_seconds=60.0, scratch_bytes=32 * MIB)
    user.call("def f(x):\n    return len(x)\n", "SECRET-" + "b" * 8)
    assert user.call(SCAN, "SECRET-" + "a" * 8, limits=roomy).tests[0].value == [b"SECRET-" + b"a" * 8], (
        "found if there"
    )
    judge = Judge(kind="script", test="assert f(1) == []\nassert 'SECRET-cccccccc'\n", entry_point="f")
    outcome = user.run(Job(id="t", program=SCAN, work=judge, limits=roomy))
    assert outcome.passed, outcome


def test_program_and_judge_cannot_see_each_other(user: OrdinaryUser) -> None:
    program = TRY + (
        "import stat\n"
        "def look(folder, pid):\n"
        "    kinds = {}\n"
        "    for n in range(3, 64):\n"
        "        try: kinds[n] = stat.S_IFMT(os.fstat(n).st_mode)\n"
        "        except OSError: pass\n"
        "    return [attempt(open, folder + '/note'), attempt(os.listdir, folder), attempt(os.kill, pid, 0)], kinds\n"
    )
    test = (
        "import os, stat\n"
        "open('note', 'w').write('expected')\n"
        "seen, kinds = look(os.getcwd(), os.getpid())\n"
        "assert seen == ['denied'] * 3\n"
        "assert kinds == {4: stat.S_IFIFO, 5: stat.S_IFSOCK}\n"
    )
    judge = Judge(kind="script", test=test, entry_point="look")
    outcome = user.run(Job(id="t", program=program, work=judge, limits=LIMITS))
    assert outcome.passed, outcome


OWNER = """
import sandbox
from sandbox.protocol import Call, Calls, Job, Limits
pool = sandbox.open_pool(1, "confined")
pool.submit(Job(id="j", program="while True: pass", work=Calls((Call("f", ()),)), limits=Limits(cpu_seconds=100)))
print("ready", flush=True)
import time; time.sleep(100)
"""


def test_nothing_outlives_a_killed_owner() -> None:
    from tests.sandbox.test_pool import descendants

    root = str(Path(sandbox.__file__).parents[1])
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, cwd=root) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 10
        while (
            len(children := descendants(owner.pid)) < 2 and time.monotonic() < deadline
        ):  # supervisor, program
            time.sleep(0.02)
        assert len(children) >= 2
        owner.kill()
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline, "a program outlived its owner"
        time.sleep(0.02)


def test_it_is_chosen_last_and_announced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*anything: object) -> Any:
        raise BackendError("not here", "Install it.")

    for name in ("docker", "bubblewrap"):
        monkeypatch.setitem(opening.OPENERS, name, missing)
    assert list(opening.OPENERS)[-1] == "confined"
    said: list[str] = []
    with caplog.at_level(logging.WARNING):
        backend = opening.open_backend("auto", LIMITS, said.append)
    backend.close()
    assert backend.name == "confined"
    assert backend.unenforced and all(line in said[-1] for line in backend.unenforced)
    assert "no docker: not here. Install it." in caplog.text


def test_an_outcome_says_what_was_not_enforced(user: OrdinaryUser) -> None:
    assert user.call("def f(x): pass").unenforced == ConfinedBackend.unenforced


def test_without_landlock_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 2)
    with pytest.raises(BackendError, match=r"Landlock version 2.*Linux 6\.2"):
        ConfinedBackend()
