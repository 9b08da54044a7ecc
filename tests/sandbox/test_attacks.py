"""Attacks by class, each program saying what it achieved: nothing, in every kind of job, on every backend.

What a program leaves for the next one in its container is tried in pairs. (Forged values and streams, and tests that a
program would talk into a pass, are in test_hostile.py, test_judge_attacks.py and tests/test_hacks.py.)
"""

from __future__ import annotations

import ast
from textwrap import dedent, indent

import pytest

from sandbox.pool.pool import Pool
from sandbox.protocol import Call, Calls, Job, Judge, Status, Stdio
from tests.sandbox.conftest import LIMITS, run_calls

# `tried(name, action)` notes the name of an action that raises nothing and does not return -1.
PRELUDE = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
done = []
def tried(name, action, *arguments):
    try:
        if action(*arguments) != -1: done.append(name)
    except (OSError, ValueError, MemoryError): pass
def read(path): open(path, "rb").read(1)
def write(path): open(path, "r+b", buffering=0).write(b"x")
"""

CLASSES = {
    "expected values: frames, objects, descriptors, other processes' files": """
        import gc, re
        wanted = re.compile("EXPECTED-[0-9]+")
        def text_of(values):
            for value in values:
                if type(value) in (str, bytes) and wanted.search(str(value)) and "[0-9]" not in str(value): done.append(value[:80])
        frame = sys._getframe()
        while frame:
            text_of([*frame.f_locals.values(), *frame.f_globals.values(), *frame.f_code.co_consts])
            frame = frame.f_back
        for thing in gc.get_objects():
            if type(thing) is dict: text_of(list(dict.values(thing)))
            elif type(thing) in (list, tuple): text_of(list(thing))
        text_of([*os.environ.values(), *sys.argv, *sys.orig_argv])
        for number in (0, *range(3, 64)):
            try:
                if number != 5: os.set_blocking(number, False); text_of([os.read(number, 1 << 16)])
            except OSError: pass
        for pid in ("1", "self/task/1", str(os.getppid())):
            for name in ("mem", "environ", "maps", "fd/3", "fd/0", "root/etc/hostname", "cwd", "stack", "syscall"):
                if pid != str(os.getpid()): tried(f"{pid} {name}", lambda: open(f"/proc/{pid}/{name}", "rb").read(1) or -1)
        """,
    "installed packages, which may hold a benchmark's tests": """
        import itertools, re, site, sysconfig
        ours = re.compile("/(numpy|pandas|(python_)?dateutil|pytz|tzdata|six|sortedcontainers)(?![a-z])")  # for programs
        places = [*site.getsitepackages(), sysconfig.get_path("purelib"), "/usr/lib/python3/dist-packages"]
        for place in dict.fromkeys(places):
            for top, _, names in itertools.islice(os.walk(place), 40):
                for name in names[:20]:
                    if not ours.search(f"{top}/{name}"): tried(f"{top}/{name}", read, f"{top}/{name}")
        """,
    "network: loopback, gateway, metadata, DNS, abstract and datagram sockets": """
        for host in ("127.0.0.1", "172.17.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8"):
            for kind, port in ((socket.SOCK_STREAM, 80), (socket.SOCK_DGRAM, 53)):
                def connect():
                    with socket.socket(socket.AF_INET, kind) as s: s.settimeout(0.2); s.connect((host, port))
                tried(f"{host}:{port}", connect)
        tried("name", socket.getaddrinfo, "example.org", 80)
        tried("IPv6", lambda: socket.create_connection(("::1", 80), 0.2))
        for name in ("\\0/tmp/.X11-unix/X0", "/run/docker.sock", "/var/run/docker.sock", "/run/coderl/control", "\\0x"):
            def join():
                with socket.socket(socket.AF_UNIX) as s: s.connect(name)
            tried(repr(name), join)
        for family in (16, 17, 29, 31, 38, 40, 44):  # netlink, packet, CAN, Bluetooth, crypto, vsock, XDP
            tried(family, lambda: socket.socket(family, socket.SOCK_RAW).close())
        """,
    "privilege: identity, namespaces, mounts, devices, modules, keys": """
        other = 0 if os.getuid() else 12345  # a `confined` pool may run as root, without its privileges
        for name, arguments in {
            "setuid": (other,), "setgid": (other,), "setgroups": (0, None), "chroot": (b"/",), "unshare": (0x10000000,),
            "mount": (b"none", b"/tmp", b"tmpfs", 0, None), "umount2": (b"/proc", 2), "setns": (0, 0),
            "acct": (b"/tmp/x",), "reboot": (0,), "swapon": (b"/tmp/x", 0), "sethostname": (b"x", 1), "settimeofday": (bytes(16), None),
            "iopl": (3,), "ioperm": (0, 1, 1), "klogctl": (3, bytes(16), 16), "quotactl": (0, None, 0, None),
            "capset": (b"\\x22\\x05\\x08\\x20" + bytes(4), b"\\xff" * 24),
        }.items(): tried(name, getattr(libc, name), *arguments)
        for number in (101, 175, 246, 248, 250, 298, 304, 310, 313, 321, 323, 425, 428, 430, 438):
            ctypes.set_errno(0)
            tried(f"system call {number}", libc.syscall, number, 0, 0, 0, 0, 0)
        for major, minor in ((1, 1), (8, 0), (10, 200)): tried("device", os.mknod, "device", 0o20666, os.makedev(major, minor))
        for path in ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/tty", "/etc/shadow"):
            tried(path, read, path)
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/etc/passwd",
                     "/sys/kernel/uevent_helper", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                     "/proc/self/uid_map", sys.executable, os.__file__, sys.modules["sandbox.inside.wire"].__file__):
            tried(path, write, path)
        """,
    "supervisor: signals, its limits, its scheduling, its memory": """
        import resource, struct
        limits = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
        set_io_priority, set_attributes = (251, 314) if os.uname().machine == "x86_64" else (30, 274)
        for pid in {1, os.getppid()} - {0}:
            for number in (*range(32), 34, 64): tried(f"signal {number}", os.kill, pid, number)
            for kind in limits: tried(f"limit {kind}", resource.prlimit, pid, kind, (0, 0))
            tried("nice", os.setpriority, os.PRIO_PROCESS, pid, 19)
            tried("nice group", os.setpriority, os.PRIO_PGRP, pid, 19)
            tried("affinity", os.sched_setaffinity, pid, [0])
            tried("policy", os.sched_setscheduler, pid, os.SCHED_IDLE, os.sched_param(0))
            tried("parameters", os.sched_setparam, pid, os.sched_param(0))
            tried("attributes", libc.syscall, set_attributes, pid, struct.pack("IIQiIQQQ", 48, 0, 0, 19, 0, 0, 0, 0), 0)
            for which in (1, 2): tried("I/O priority", libc.syscall, set_io_priority, which, pid, 3 << 13)
            tried("group", os.setpgid, pid, pid)
            tried("attach", libc.ptrace, 16, pid, 0, 0)
            tried("seize", libc.ptrace, 0x4206, pid, 0, 0)
            for name in ("oom_score_adj", "comm", "mem", "clear_refs"): tried(name, write, f"/proc/{pid}/{name}")
        tried("nice user", os.setpriority, os.PRIO_USER, os.getuid(), 19)
        tried("I/O priority of a user", libc.syscall, set_io_priority, 3, os.getuid(), 3 << 13)
        """,
    "limits: raised again, sparse files, files too large": """
        import resource
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_CORE):
            soft, hard = resource.getrlimit(kind)
            tried(f"limit {kind}", resource.setrlimit, kind, (hard + 1, hard + 1))
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        def sparse():
            with open("sparse", "wb") as file: file.truncate(1 << 40)
        tried("sparse", sparse)
        def far():
            with open("far", "wb") as file: file.seek(1 << 40); file.write(b"x")
        tried("far", far)
        tried("allocate", lambda: os.posix_fallocate(os.open("f", os.O_CREAT | os.O_RDWR), 0, 1 << 35))
        """,
}


def function(body: str) -> str:
    return f"{PRELUDE}\ndef f(x):\n{indent(dedent(body), '    ')}\n    return done\n"


@pytest.mark.parametrize("kind", ["call", "stdio", "judge"])
@pytest.mark.parametrize("body", CLASSES.values(), ids=CLASSES)
def test_an_attack_achieves_nothing(pool: Pool, body: str, kind: str) -> None:
    program = function(body)
    if kind == "judge":
        test = "found = f(1)\nassert found == [] != 'EXPECTED-1234', found\n"
        work: Calls | Stdio | Judge = Judge(kind="script", test=test, entry_point="f")
    elif kind == "stdio":
        program, work = f"{program}\nprint(f(1))\n", Stdio(("EXPECTED-no-number\n",))
    else:
        work = Calls((Call("f", (1,)),))
    outcome = pool.run(Job(id="t", program=program, work=work, limits=LIMITS))
    (test_outcome,) = outcome.tests
    found = (
        ast.literal_eval(test_outcome.stdout)
        if kind == "stdio" and test_outcome.stdout
        else test_outcome.value
    )
    assert outcome.status is Status.OK and outcome.passed is not False, (found, outcome)
    assert found in ([], None) and outcome.attempts == 1, outcome


# What a program leaves: what the next one finds where it was left nothing.
LEFT = {
    "a module of a usual name": (
        "open('json.py', 'w').write('1/0'); open('bisect.py', 'w').write('1/0')",
        "import json, bisect; found = json.loads('[]')",
        [],
    ),
    "modules and builtins, patched": (
        "import builtins, json, random; builtins.len = json.loads = None; random.seed(0); sys.setrecursionlimit(50)",
        "import json; found = [len(json.loads('[]')), sys.getrecursionlimit() > 500]",
        [0, True],
    ),
    "environment": (
        "os.environ['PYTHONPATH'] = '/tmp'; libc.setenv(b'LD_PRELOAD', b'/tmp/x.so', 1)",
        "found = os.environ.get('PYTHONPATH'), os.environ.get('LD_PRELOAD')",
        (None, None),
    ),
    "limits, priority and mask": (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8)); os.umask(0o777); tried('', os.nice, 5)",
        "import resource; found = [resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.getpriority(os.PRIO_PROCESS, 0), os.umask(0) & 0o700]",
        [LIMITS.open_files, 0, 0],
    ),
    "limits and scheduling of the supervisor": (
        "import resource; pid = os.getppid()\n"
        "    for kind in (resource.RLIMIT_STACK, resource.RLIMIT_DATA): tried('', resource.prlimit, pid, kind, (1 << 16, 1 << 16))\n"
        "    tried('', os.setpriority, os.PRIO_PROCESS, pid, 5)\n"
        "    tried('', os.sched_setscheduler, pid, os.SCHED_BATCH, os.sched_param(0))",
        "import resource; found = [min(resource.getrlimit(kind)) == 1 << 16 for kind in (resource.RLIMIT_STACK, resource.RLIMIT_DATA)]\n"
        "    found += [os.getpriority(os.PRIO_PROCESS, 0) == 5, os.sched_getscheduler(0) == os.SCHED_BATCH]",
        [False] * 4,
    ),
    "a timer": (
        "import signal; signal.setitimer(signal.ITIMER_REAL, 0.2); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "import signal, time; time.sleep(0.3); found = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL",
        True,
    ),
    "shared memory": (
        "tried('', lambda: open('/dev/shm/left', 'w').write('x'))",
        "found = os.path.exists('/dev/shm/left')",
        False,
    ),
    "a full scratch": (
        "file = open('big', 'wb')\n    for _ in range(40): tried('', file.write, bytes(1 << 20))",
        "found = open('small', 'wb').write(bytes(8 << 20))",
        8 << 20,
    ),
    "many files": (
        "[tried('', os.mkdir, str(n)) for n in range(3000)]",
        "found = len([os.mkdir(str(n)) for n in range(100)])",
        100,
    ),
    "a lock on what all programs read": (
        "import fcntl; held = open(os.__file__); fcntl.flock(held, fcntl.LOCK_EX); tried('', os.fork)\n"
        "    import time; time.sleep(0 if held is None else 0.05)",
        "import fcntl; held = open(os.__file__); fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB); found = 'free'",
        "free",
    ),
    "a process that goes on writing": (
        "import time\n"
        "    try: child = os.fork()\n"
        "    except OSError: return\n"
        "    if child == 0:\n"
        "        os.setsid()\n"
        "        while True: open('/tmp/again', 'w').close(); time.sleep(0.001)",
        "import time; time.sleep(0.1); found = os.listdir('.')",
        [],
    ),
    "a process that counts against the next one's limit": (
        "import time\n"
        "    for _ in range(12):\n"
        "        try:\n"
        "            if os.fork() == 0: os.setsid(); time.sleep(60)\n"
        "        except OSError: return",
        "import threading\n"
        "    threads = [threading.Thread(target=len, args=('',)) for _ in range(8)]\n"
        "    [t.start() for t in threads]; [t.join() for t in threads]; found = 'ran'",
        "ran",
    ),
}


@pytest.mark.parametrize(("leave", "look", "unaffected"), LEFT.values(), ids=LEFT)
def test_the_next_program_is_unaffected(pool: Pool, leave: str, look: str, unaffected: object) -> None:
    run_calls(pool, f"{PRELUDE}\ndef f(x):\n    {leave}\n", 1)
    after = run_calls(pool, f"{PRELUDE}\ndef f(x):\n    {look}\n    return found\n", 1)
    assert [test.value for test in after.tests] == [unaffected], after
    assert after.attempts == 1


# Each ends as the program's own failure (or as nothing at all), within its limits.
STUBBORN = {
    "closes its streams": "os.closerange(0, 3)",
    "holds its streams in a child": "os.fork() or (os.setsid(), __import__('time').sleep(60))",
    "floods both streams": "while True: os.write(1, b'x' * 65536); os.write(2, b'x' * 65536)",
    "writes to every descriptor": "for n in range(64): tried('', os.write, n, b'\\0\\0\\0\\2{}' * 50)",
    "fills a pipe to itself": "r, w = os.pipe()\n    while True: os.write(w, bytes(65536))",
    "overflows the C stack": "import sys; sys.setrecursionlimit(10**9)\n    def g(): return g()\n    g()",
    "calls address zero": "ctypes.CFUNCTYPE(None)(0)()",
    "traces itself": "libc.ptrace(0, 0, 0, 0); os.kill(os.getpid(), 19)",
    "reserves an address space": "import mmap; maps = [mmap.mmap(-1, 1 << 40) for _ in range(4)]",
    "backtracks for ever": "import re; re.match('(a*)*b', 'a' * 64)",
    "makes threads": "import threading, time\n    while True: threading.Thread(target=time.sleep, args=(60,)).start()",
    "waits for a lock of its own": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "calls vfork for ever": "while True: libc.vfork()",
}


@pytest.mark.parametrize("kind", ["stdio", "judge"])
@pytest.mark.parametrize("body", STUBBORN.values(), ids=STUBBORN)
def test_no_program_looks_like_our_fault(pool: Pool, body: str, kind: str) -> None:
    limits = LIMITS.__class__(
        cpu_seconds=0.3,
        total_cpu_seconds=0.5,
        wall_seconds=0.8,
        memory_bytes=192 << 20,
        scratch_bytes=32 << 20,
    )
    program = f"{PRELUDE}\ndef f(x):\n    {body}\n"
    works: dict[str, Stdio | Judge] = {
        "stdio": Stdio(("",)),
        "judge": Judge(kind="script", test="assert f(1) == 'right'\n", entry_point="f"),
    }
    if kind == "stdio":
        program += "\nf(1)\n"
    outcome = pool.run(Job(id="t", program=program, work=works[kind], limits=limits))
    assert outcome.status is not Status.INFRA, outcome.detail
    assert outcome.passed is not True
