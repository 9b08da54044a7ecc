"""What a hostile program cannot do: exceed its limits, stay, reach others, learn a secret, or look like our fault."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from sandbox.pool.pool import Pool
from sandbox.protocol import MIB, Call, Calls, Job, Judge, Limits, Outcome, Status, Stdio
from tests.sandbox.conftest import LIMITS, run_calls, run_stdio

QUICK = replace(LIMITS, cpu_seconds=0.4, total_cpu_seconds=1.0, wall_seconds=30.0)
PATIENT = replace(LIMITS, cpu_seconds=60.0, total_cpu_seconds=60.0, wall_seconds=120.0)
SLEEPY = replace(QUICK, wall_seconds=1.0)


def statuses(outcome: Outcome) -> list[Status]:
    assert outcome.status is not Status.INFRA, outcome.detail
    return [test.status for test in outcome.tests]


# Limits


def test_a_loop_that_ignores_signals_runs_out_of_cpu_time(pool: Pool) -> None:
    program = (
        "import signal\n"
        "for n in range(1, 32):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "def f(x):\n"
        "    while x: pass\n"
        "    return 'fine'\n"
    )
    outcome = run_calls(pool, program, 0, 1, 0, limits=QUICK)
    assert statuses(outcome) == [Status.OK, Status.CPU_TIMEOUT, Status.OK]
    assert outcome.tests[2].value == "fine"
    assert 0.3 < outcome.cpu_seconds < 1.5


def test_the_total_cpu_time_bounds_a_job_of_many_timeouts(pool: Pool) -> None:
    outcome = run_calls(pool, "def f(x):\n    while True: pass\n", *range(40), limits=QUICK)
    assert statuses(outcome) == [Status.CPU_TIMEOUT] * 40
    assert outcome.cpu_seconds < 3.0


def test_many_calls_each_within_its_time_cannot_exceed_the_total(pool: Pool) -> None:
    program = (
        "import time\ndef f(x):\n    t = time.process_time()\n    while time.process_time() < t + 0.2: pass\n"
    )
    outcome = run_calls(pool, program, *range(40), limits=QUICK)
    assert statuses(outcome)[0] is Status.OK
    assert statuses(outcome)[-1] is Status.CPU_TIMEOUT
    assert outcome.cpu_seconds < 2.0
    done = statuses(outcome).count(Status.OK)
    said = {test.error.message for test in outcome.tests if test.error}
    assert said == {f"the limit of 1 s over all tests ran out after test {done}"}


def test_inputs_that_no_time_is_left_for_are_no_wrong_answers(pool: Pool) -> None:
    program = "import time\nwhile time.process_time() < 0.3: pass\nprint(input())\n"
    limits = replace(QUICK, cpu_seconds=1.0)
    outcome = pool.run(Job(id="j", program=program, work=Stdio(("7\n",) * 20), limits=limits))
    done = statuses(outcome).count(Status.OK)
    assert 0 < done < 6
    assert statuses(outcome) == [Status.OK] * done + [Status.CPU_TIMEOUT] * (20 - done)
    said = {test.error.message for test in outcome.tests if test.error}
    assert said == {f"the limit of 1 s over all tests ran out after test {done}"}


def test_after_so_many_loops_the_rest_is_not_tried(pool: Pool) -> None:
    limits = replace(LIMITS, cpu_seconds=0.05, total_cpu_seconds=600.0)
    outcome = run_calls(pool, "def f(x):\n    while True: pass\n", *range(40), limits=limits)
    assert statuses(outcome) == [Status.CPU_TIMEOUT] * 40
    assert outcome.tests[-1].error and "15 tests before it" in outcome.tests[-1].error.message
    assert outcome.cpu_seconds < 6.0


def test_cpu_time_of_children_counts(pool: Pool) -> None:
    program = "import os\ndef f(x):\n    if os.fork() == 0:\n        while True: pass\n    os.wait()\n"  # the parent sleeps
    assert statuses(run_calls(pool, program, 1, limits=QUICK)) == [Status.CPU_TIMEOUT]


def test_sleepers_meet_the_wall_clock_and_only_a_few_are_tried(pool: Pool) -> None:
    started = time.monotonic()
    outcome = run_calls(pool, "import time\ndef f(x):\n    time.sleep(100)\n", *range(20), limits=SLEEPY)
    assert statuses(outcome) == [Status.WALL_TIMEOUT] * 20
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "allocate",
    [
        "x = bytearray(1 << 30)",
        "x = [bytearray(10 << 20) for _ in range(100)]",
        "import mmap; m = mmap.mmap(-1, 1 << 30); m.write(b'x' * (1 << 30))",
    ],
    ids=["at once", "piecewise", "shared mapping"],
)
def test_one_process_out_of_memory(pool: Pool, allocate: str) -> None:
    program = f"def f(x):\n    if x:\n        {allocate}\n    return 'fine'\n"
    assert statuses(run_calls(pool, program, 1, 0)) == [Status.MEMORY, Status.OK]


def test_memory_spread_over_many_processes(pool: Pool) -> None:
    program = (
        "import os, time\n"
        "def f(x):\n"
        "    for _ in range(8):\n"
        "        if os.fork() == 0:\n"
        "            b = bytearray(os.urandom(1)) * (60 << 20)\n"
        "            time.sleep(60)\n"
        "    os.wait()\n"
        "    return 'survived one of them'\n"
    )
    assert statuses(run_calls(pool, program, 1, limits=replace(LIMITS, wall_seconds=30.0))) == [Status.MEMORY]


def test_a_full_scratch_is_the_programs_own_error_and_gone_afterwards(pool: Pool) -> None:
    program = (
        "def f(place):\n"
        "    written = 0\n"
        "    try:\n"
        "        for n in range(100):\n"
        "            with open(f'{place}/{n}', 'wb') as file:\n"
        "                for _ in range(8): written += file.write(bytes(1 << 20))\n"
        "    except OSError as error: return error.errno, written\n"
    )
    for place in ("/tmp", "/dev/shm"):
        outcome = run_calls(pool, program, place, limits=replace(LIMITS, memory_bytes=512 * MIB))
        value = outcome.tests[0].value
        assert isinstance(value, tuple), outcome
        assert value[0] == 28  # ENOSPC
        assert value[1] <= LIMITS.scratch_bytes


def test_inodes_are_bounded_and_freed(pool: Pool) -> None:
    program = (
        "import os\ndef f(x):\n    try:\n        for n in range(10**6): os.mkdir(f'/tmp/{n}')\n"
        "    except OSError as error: return error.errno, n\n"
    )
    outcome = run_calls(pool, program, 1, limits=replace(LIMITS, cpu_seconds=5.0, wall_seconds=60.0))
    assert statuses(outcome)[0] in (Status.OK, Status.MEMORY, Status.CPU_TIMEOUT)
    if statuses(outcome) == [Status.OK]:
        assert isinstance(outcome.tests[0].value, tuple) and outcome.tests[0].value[1] < 100_000


def test_a_fork_bomb_stops_at_the_process_limit(pool: Pool) -> None:
    program = (
        "import os, time\n"
        "def f(x):\n"
        "    for _ in range(1000):\n"
        "        try:\n"
        "            if os.fork() == 0:\n"
        "                time.sleep(30); os._exit(0)\n"
        "        except BlockingIOError: break\n"
        "    return len([p for p in os.listdir('/proc') if p.isdigit()])\n"
    )
    outcome = run_calls(pool, program, 1, limits=replace(LIMITS, memory_bytes=512 * MIB))
    count = outcome.tests[0].value
    assert isinstance(count, int), outcome
    assert count <= LIMITS.processes + 2


def test_a_growing_fork_bomb_is_cleared_away(pool: Pool) -> None:
    program = "import os\ndef f(x):\n    while True:\n        try: os.fork()\n        except OSError: pass\n"
    (status,) = statuses(run_calls(pool, program, 1, limits=QUICK))
    assert status in (Status.CPU_TIMEOUT, Status.MEMORY)


def test_open_files_are_bounded(pool: Pool) -> None:
    program = (
        "def f(x):\n    held = []\n    try:\n        while True: held.append(open('/dev/null'))\n"
        "    except OSError as error: return error.errno, len(held)\n"
    )
    value = run_calls(pool, program, 1).tests[0].value
    assert isinstance(value, tuple)
    assert value[0] == 24 and value[1] <= LIMITS.open_files


# Floods and forged results


def test_an_output_flood_of_a_script_is_cut(pool: Pool) -> None:
    outcome = run_stdio(pool, "while True: print('x' * 65536)\n", "")
    (test,) = outcome.tests
    assert test.status is Status.OUTPUT_LIMIT and test.truncated
    assert len(test.stdout) == LIMITS.output_bytes


def test_a_flood_of_stderr_is_no_verdict_but_bounded(pool: Pool) -> None:
    flood = "import sys\n{}: sys.stderr.write('x' * 65536)\nprint(1)\n"
    (test,) = run_stdio(pool, flood.format("for _ in range(1000)"), "").tests
    assert (test.status, test.stdout, len(test.stderr)) == (Status.OK, "1\n", LIMITS.output_bytes)
    (test,) = run_stdio(pool, flood.format("while True"), "").tests
    assert (
        test.status in (Status.CPU_TIMEOUT, Status.WALL_TIMEOUT) and len(test.stderr) == LIMITS.output_bytes
    )


def test_printing_in_calls_is_capped_and_marked(pool: Pool) -> None:
    outcome = run_calls(pool, "def f(x):\n    for _ in range(100): print('x' * 100_000)\n    return x\n", 7)
    (test,) = outcome.tests
    assert test.value == 7 and test.truncated
    assert len(test.stdout) <= LIMITS.output_bytes


def test_a_flood_of_descriptor_1_in_calls_goes_nowhere(pool: Pool) -> None:
    program = "import os\ndef f(x):\n    for _ in range(200): os.write(1, bytes(1 << 20)); os.write(2, b'x')\n    return x\n"
    assert run_calls(pool, program, 7).tests[0].value == 7


@pytest.mark.parametrize(
    "data",
    [
        "b'x' * 100_000",
        "struct.pack('>I', 0)",
        "struct.pack('>I', 3) + b'[1]'",
        "struct.pack('>I', 4) + b'null'",
        "struct.pack('>I', 0xFFFFFFFF)",
        "struct.pack('>I', 200_000) + b'[' * 200_000",
        "frame({'fatal': 7})",
        "frame({'fatal': {'type': 3, 'message': [], 'phase': 'infra', 'frames': [[1], 2, [1, 2, 3]]}})",
        "frame({'value': 5})",
        "frame({'value': '{\"d\": 1}'})",
        "frame({'value': '[' * 100_000})",
        "frame({'value': '1' * 5000})",
        "frame({'failure': 1, 'cpu': 'soon', 'stdout': {}})",
        "frame({'cpu': float('nan'), 'value': '1'})",
        "frame({'cpu': 1e308, 'failure': {}}) * 300",
        "frame({'status': 'infra', 'op': 'exit'})",
        "(lambda b: struct.pack('>I', len(b)) + b)(b'{\"value\":[' + b'[],' * 5_000_000 + b'[]]}')",
        "(lambda b: struct.pack('>I', len(b)) + b)(b'{\"value\":\"' + b'\\\\\\\"' * 5_000_000 + b'\"}')",
        "b'\\0\\0\\0\\2{}' * 4_000_000",
        "struct.pack('>I', 64 << 20) + bytes(64 << 20)",
    ],
)
def test_forged_results_are_the_programs_failure_or_mere_values(pool: Pool, data: str) -> None:
    program = (
        "import os, json, struct\n"
        "def frame(o):\n    b = json.dumps(o).encode()\n    return struct.pack('>I', len(b)) + b\n"
        "def f(x):\n"
        f"    data = {data}\n"
        "    while data: data = data[os.write(4, data):]\n"
        "    return x\n"
    )
    outcome = run_calls(pool, program, 1, 2)
    assert len(outcome.tests) == 2
    assert statuses(outcome)[0] in (Status.KILLED, Status.EXCEPTION, Status.OUTPUT_LIMIT, Status.OK)
    assert all(0 <= test.cpu_seconds < 10 for test in outcome.tests), outcome


def test_an_endless_result_is_cut(pool: Pool) -> None:
    program = "import os\ndef f(x):\n    while True: os.write(4, b'\\0\\0\\0\\2{}' * 5000)\n"
    assert statuses(run_calls(pool, program, 1))[0] in (Status.KILLED, Status.OUTPUT_LIMIT)


def test_a_program_without_its_descriptors(pool: Pool) -> None:
    program = "import os\ndef f(x):\n    os.closerange(0, 256)\n    return x\n"
    assert statuses(run_calls(pool, program, 1, 2)) == [Status.KILLED, Status.KILLED]


# Staying


@pytest.mark.parametrize("how", ["wait for it", "leave at once"])
def test_daemons_are_gone(pool: Pool, how: str) -> None:
    program = (
        "import os, time\n"
        "def f(x):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            os.setsid(); os.chdir('/'); os.closerange(0, 100)\n"
        "            while True: time.sleep(0.01)\n"
        "        os._exit(0)\n"
        + ("    os.wait()\n" if how == "wait for it" else "    os._exit(0)\n")
        + "    return x\n"
    )
    started = time.monotonic()
    run_calls(pool, program, 1)
    assert time.monotonic() - started < 3, "nobody waits for a daemon's copy of a stream"
    look = "import os\ndef f(x):\n    return [p for p in os.listdir('/proc') if p.isdigit()], os.getpid()\n"
    value = run_calls(pool, look, 1).tests[0].value
    assert isinstance(value, tuple)
    assert sorted(value[0], key=int) == ["1", str(value[1])]


def test_a_daemon_that_holds_a_scripts_stdout_delays_nobody(pool: Pool) -> None:
    program = (
        "import os, time\nprint('out', flush=True)\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n"
    )
    started = time.monotonic()
    assert run_stdio(pool, program, "").tests[0].stdout == "out\n"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("place", [".", "/dev/shm"])
@pytest.mark.parametrize(
    "leave",
    [
        "open(p + '/a', 'w').write('x')",
        "os.makedirs(p + '/a/b/c'); open(p + '/a/b/f', 'w').close(); os.chmod(p + '/a/b', 0); os.chmod(p + '/a', 0)",
        "os.symlink('/etc', p + '/link'); os.symlink(p, p + '/loop'); os.mkfifo(p + '/fifo')",
        "[os.mkdir('d') or os.chdir('d') for _ in range(3000)]",
        "open(p + '/\\udcff\\n', 'w').close(); open(p + '/' + 'n' * 255, 'w').close()",
        "import socket; socket.socket(socket.AF_UNIX).bind(p + '/sock')",
    ],
    ids=["file", "closed folders", "links", "deep", "names", "socket"],
)
def test_files_are_gone(pool: Pool, place: str, leave: str) -> None:
    program = f"import os\ndef f(p):\n    os.chdir(p)\n    p = os.getcwd()\n    {leave}\n    return os.listdir(p) != []\n"
    assert run_calls(pool, program, place).tests[0].value is True
    look = "import os\ndef f(p):\n    return os.listdir('.'), os.listdir(p)\n"
    assert run_calls(pool, look, place).tests[0].value == ([], [])


def test_nowhere_else_can_be_written(pool: Pool) -> None:
    program = (
        "import os\n"
        "def f(x):\n"
        "    found = []\n"
        "    for top, folders, _ in os.walk('/', followlinks=False):\n"
        "        if top == '/proc': folders[:] = []; continue\n"
        "        folders[:] = [d for d in folders if (top, d) != ('/', 'sys')]\n"
        "        try:\n"
        "            name = top + '/x'\n"
        "            open(name, 'w').close(); os.unlink(name); found.append(top)\n"
        "        except OSError: pass\n"
        "    return found\n"
    )
    outcome = run_calls(pool, program, 1, limits=PATIENT)
    assert sorted(outcome.tests[0].value) == ["/dev/shm", "/tmp"]  # type: ignore[call-overload]


def test_nothing_of_system_v_or_posix_ipc_can_be_made(pool: Pool) -> None:
    program = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def f(x):\n"
        "    r = [libc.shmget(7, 4096, 0o1666), libc.semget(7, 1, 0o1666), libc.msgget(7, 0o1666)]\n"
        "    return r + [libc.syscall(240, b'queue', 0o102, 0o666, None), libc.syscall(319, b'm', 0)]\n"
    )
    assert run_calls(pool, program, 1).tests[0].value == [-1] * 5


# Reaching others


@pytest.mark.parametrize("target", [-1, 1])
def test_signals_do_not_reach_the_supervisor(pool: Pool, target: int) -> None:
    program = (
        "import os, signal\n"
        "def f(target):\n"
        "    for n in (*range(1, 32), 34, 64):\n"
        "        try: os.kill(target, n)\n"
        "        except OSError: pass\n"
        "    return 'alive'\n"
    )
    outcome = run_calls(pool, program, target)
    assert statuses(outcome) == [Status.OK]  # kill(-1) spares the caller
    assert outcome.attempts == 1


def test_pid_1_cannot_be_read_or_traced(pool: Pool) -> None:
    program = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "class V(ctypes.Structure): _fields_ = [('b', ctypes.c_void_p), ('n', ctypes.c_size_t)]\n"
        "def f(x):\n"
        "    done = []\n"
        "    if libc.ptrace(16, 1, 0, 0) == 0: done.append('attach')\n"
        "    if libc.ptrace(0x4206, 1, 0, 0) == 0: done.append('seize')\n"
        "    b = ctypes.create_string_buffer(8)\n"
        "    l, r = V(ctypes.addressof(b), 8), V(id(f), 8)\n"
        "    if libc.process_vm_readv(1, ctypes.byref(l), 1, ctypes.byref(r), 1, 0) > 0: done.append('readv')\n"
        "    for name in ('mem', 'environ', 'fd', 'root', 'cwd', 'maps', 'map_files', 'auxv', 'stack'):\n"
        "        path = f'/proc/1/{name}'\n"
        "        try:\n"
        "            os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1)\n"
        "            done.append(name)\n"
        "        except OSError: pass\n"
        "    return done\n"
    )
    assert run_calls(pool, program, 1).tests[0].value == []


def test_the_host_is_out_of_reach(pool: Pool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inet, socket.socket(socket.AF_UNIX) as abstract:
        name = f"\0coderl-{secrets.token_hex(8)}"
        abstract.bind(name)
        abstract.listen()
        reached: list[object] = []
        for listener in (inet, abstract):
            listener.settimeout(3)
            threading.Thread(target=_note_connection, args=(listener, reached), daemon=True).start()
        program = (
            "import socket, os\n"
            "def f(target):\n"
            "    port, name = target\n"
            "    out = []\n"
            "    for kind, address in [(socket.AF_INET, ('127.0.0.1', port)), (socket.AF_UNIX, name)]:\n"
            "        try:\n"
            "            s = socket.socket(kind); s.settimeout(1); s.connect(address); out.append('reached')\n"
            "        except OSError: out.append('no')\n"
            "    for kind in (socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, 40, 38):\n"
            "        try: socket.socket(kind, socket.SOCK_DGRAM); out.append(kind)\n"
            "        except OSError: pass\n"
            "    return out, os.path.exists('/run/coderl/control')\n"
        )
        value = run_calls(pool, program, (inet.getsockname()[1], name)).tests[0].value
        assert value == (["no", "no"], False)
        assert reached == []


def _note_connection(listener: socket.socket, reached: list[object]) -> None:
    try:
        reached.append(listener.accept())
    except OSError:
        return


def test_no_privilege_is_left_or_gained(pool: Pool) -> None:
    program = (
        "import os, ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def f(x):\n"
        "    s = dict(l.split(':\\t', 1) for l in open('/proc/self/status') if ':\\t' in l)\n"
        "    caps = [s[k].strip() for k in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')]\n"
        "    gained = [n for n, a in (('setuid', (0,)), ('setgid', (0,)), ('unshare', (0x10000000,)), ('chroot', (b'/',)))\n"
        "              if getattr(libc, n)(*a) == 0]\n"
        "    return caps, s['NoNewPrivs'].strip(), s['Seccomp'].strip(), s['Groups'].strip(), os.getuid() != 0, gained\n"
    )
    value = run_calls(pool, program, 1).tests[0].value
    assert isinstance(value, tuple)
    caps, no_new_privileges, seccomp, groups, unprivileged, gained = value
    assert set(caps) == {"0" * 16}
    assert (no_new_privileges, seccomp, unprivileged, gained) == ("1", "2", True, [])
    assert groups in ("", "65534")


SCAN = """
import ctypes, re
ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE
def f(x):
    found = set()
    with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as mem:
        for line in maps:
            span, mode, *_ = line.split()
            if 'r' not in mode: continue
            low, high = (int(n, 16) for n in span.split('-'))
            try:
                mem.seek(low)
                found |= set(re.findall(rb'SECRET-[0-9a-f]{32}', mem.read(high - low)))
            except (OSError, OverflowError, ValueError): pass
    return sorted(found)
"""


NOTHING = Calls((Call("f", (1,)),))


def test_secrets_of_other_payloads_are_not_in_a_programs_memory(pool: Pool) -> None:
    before, own, judged, after = (f"SECRET-{secrets.token_hex(16)}" for _ in range(4))
    length = "def f(x):\n    return len(x)\n"
    run_calls(pool, length, before)
    run_stdio(pool, "print(input()[:1])", before)
    # The control: what is in its own arguments can be found.
    assert run_calls(pool, SCAN, own).tests[0].value == [own.encode()]
    next_work = Calls((Call("f", (after,)),))
    jobs = [Job(id="t", program=p, work=w, limits=LIMITS) for p, w in ((SCAN, NOTHING), (length, next_work))]
    scanned, followed = map(pool.submit, jobs)  # the second begins as soon as the first has ended
    assert scanned.result().tests[0].value == []
    assert followed.result().tests[0].value == len(after)
    spy = SCAN + "\ndef g(x):\n    raise ValueError(repr(f(0)))\n"
    test = f"SECRET = {judged!r}\nassert g(1) == SECRET\n"
    outcome = pool.run(
        Job(id="t", program=spy, work=Judge(kind="script", test=test, entry_point="g"), limits=LIMITS)
    )
    assert outcome.passed is False
    assert outcome.error is not None
    assert outcome.error.message == "[]", outcome


def test_program_and_judge_share_nothing(pool: Pool) -> None:
    """A program under a judge sees neither its process nor its files, and has one way to it: descriptor 5."""
    program = (
        "import ctypes, os\n"
        "ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: /proc/self is then its own\n"
        "def look(x):\n"
        "    pids = [p for p in os.listdir('/proc') if p.isdigit()]\n"
        "    links = {}\n"
        "    for n in range(3, 64):\n"
        "        try: links[n] = os.readlink(f'/proc/self/fd/{n}').split(':')[0]\n"
        "        except OSError: pass\n"
        "    return sorted(pids, key=int) == ['1', str(os.getpid())], links, os.listdir('/dev/shm')\n"
    )
    # What a test writes into its scratch is copied (test_environment.py); no place is shared.
    test = "import os\nopen('/dev/shm/of-the-judge', 'w').close()\nassert look(1) == None\n"
    outcome = pool.run(
        Job(id="t", program=program, work=Judge(kind="script", test=test, entry_point="look"), limits=LIMITS)
    )
    value: Any = outcome.tests[0].value
    alone, links, files = value
    assert alone is True
    assert files == []
    assert {number: kind for number, kind in links.items() if number in (4, 5)} == {4: "pipe", 5: "socket"}
    assert set(links) <= {4, 5, 6}  # 6: the listing itself


@pytest.mark.parametrize(
    "body",
    [
        "import os; os._exit(0)",
        "import os; os.kill(os.getpid(), 9)",
        "while True: pass",
        "x = bytearray(1 << 30)",
        "import os; os.write(5, b'\\xff' * 100)",
        "import os; os.close(5)",
        "import time; time.sleep(60)",
        "import sys; sys.exit(0)",
        "return [[[]]] * 3",
    ],
)
def test_no_program_gets_past_a_judge_or_looks_like_our_fault(pool: Pool, body: str) -> None:
    limits = SLEEPY if "sleep" in body else QUICK
    outcome = pool.run(
        Job(
            id="t",
            program=f"def f(x):\n    {body}\n",
            work=Judge(kind="check", test="def check(c):\n    assert c(1) == 2\n", entry_point="f"),
            limits=limits,
        )
    )
    assert outcome.passed is False
    assert outcome.status is not Status.INFRA, outcome.detail


def test_a_time_limit_holds_for_a_stopped_program(pool: Pool) -> None:
    program = "import os, signal\ndef f(x):\n    os.kill(os.getpid(), signal.SIGSTOP)\n"
    assert statuses(run_calls(pool, program, 1, limits=SLEEPY)) == [Status.WALL_TIMEOUT]


def test_a_cpu_limit_larger_than_the_first_look_is_honoured(pool: Pool) -> None:
    """A right program that computes for most of its allowance is not cut short."""
    program = "import time\ndef f(x):\n    while time.process_time() < x: pass\n    return 'done'\n"
    limits = Limits(cpu_seconds=1.5, total_cpu_seconds=10.0, wall_seconds=60.0)
    outcome = pool.run(
        Job(
            id="t",
            program=program,
            work=Calls((Call("f", (1.0,)),)),
            limits=replace(limits, scratch_bytes=32 * MIB),
        )
    )
    assert outcome.tests[0].value == "done"
