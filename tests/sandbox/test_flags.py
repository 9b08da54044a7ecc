"""What each flag of a container prevents: seen with all flags, and with all but that one.

And what our own seccomp filter denies on every backend, on top of the engine's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.errors import SandboxError
from sandbox.inside.supervisor import seccomp
from sandbox.pool.pool import Pool
from sandbox.protocol import MIB, Limits
from tests.sandbox.conftest import run_calls

LIMITS = Limits(scratch_bytes=8 * MIB)
MEMORY = 256 * MIB

# Runs as root of the container, without our own confinement: nothing but the flags is in its way.
PROBE = """
import ctypes, json, os, signal, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action):
    try: action()
    except OSError: return "denied"
    return "done"
def fork_many():
    children = []
    try:
        for _ in range(270):
            child = os.fork()
            if child == 0: time.sleep(30); os._exit(0)
            children.append(child)
    except OSError: pass
    for child in children: os.kill(child, 9)
    for child in children: os.waitpid(child, 0)
    return len(children)
def use_memory():
    child = os.fork()
    if child == 0:
        open("/proc/self/oom_score_adj", "w").write("1000")
        held = b"x" * (400 << 20); os._exit(0)
    return os.waitpid(child, 0)[1]
def fill(path):
    with open(path, "wb") as file:
        for _ in range(64): file.write(bytes(1 << 20))
def make_many(path):
    for n in range(17_000): os.mkdir(f"{path}/{n}")
def execute(path):
    with open(path, "w") as file: file.write("#!/bin/sh\\n")
    os.chmod(path, 0o755)
    subprocess.run([path], check=True)
def key():
    if libc.syscall(250, 0, -3, 1) == -1: raise OSError  # keyctl: the session's key ring
def quota():
    for path in ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"):
        if os.path.exists(path): return open(path).read().split()[0]
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
probes = {
    "own network": lambda: os.readlink("/proc/self/ns/net"),
    "own ipc": lambda: os.readlink("/proc/self/ns/ipc"),
    "root": lambda: attempt(lambda: open("/usr/x", "w")),
    "chown": lambda: attempt(lambda: (open("/tmp/owned", "w"), os.chown("/tmp/owned", 5, 5))),
    "no new privileges": lambda: status["NoNewPrivs"].strip(),
    "key ring": lambda: attempt(key),
    "memory": lambda: use_memory() == 9,
    "processes": lambda: fork_many() <= 256,
    "cpu": quota,
    "tmp": lambda: attempt(lambda: fill("/tmp/big")),
    "shm": lambda: attempt(lambda: fill("/dev/shm/big")),
    "inodes": lambda: attempt(lambda: make_many("/tmp")),
    "execute": lambda: attempt(lambda: execute("/tmp/run")),
    "queue": lambda: attempt(lambda: open("/dev/mqueue/x", "w")),
}
print(json.dumps({name: probes[name]() for name in sys.argv[1:]}))
"""

# Flag: (what stands in its place, probe, with the flag, without it)
FLAGS: dict[str, tuple[dict[str, Any], str, Any, Any]] = {
    "read_only": ({"read_only": False}, "root", "denied", "done"),
    "cap_drop": ({"cap_drop": []}, "chown", "denied", "done"),
    "security_opt, no-new-privileges": ({"security_opt": []}, "no new privileges", "1", "0"),
    "security_opt, the default seccomp profile": (
        {"security_opt": ["no-new-privileges", "seccomp=unconfined"]},
        "key ring",
        "denied",
        "done",
    ),
    "mem_limit, memswap_limit": ({"mem_limit": 1 << 30, "memswap_limit": 1 << 30}, "memory", True, False),
    "pids_limit": (
        {"pids_limit": 1000, "mem_limit": 1 << 30, "memswap_limit": 1 << 30},
        "processes",
        True,
        False,
    ),
    "tmpfs, size of /tmp": ({"tmpfs": {"/tmp": "mode=1777"}}, "tmp", "denied", "done"),
    "tmpfs, size of /dev/shm": ({"tmpfs": {"/dev/shm": "mode=1777"}}, "shm", "denied", "done"),
    "tmpfs, inodes": ({"tmpfs": {"/tmp": "mode=1777"}}, "inodes", "denied", "done"),
    "tmpfs, noexec": ({"tmpfs": {"/tmp": "exec,mode=1777"}}, "execute", "denied", "done"),
    "tmpfs, no message queues": ({"tmpfs": {}, "ipc_mode": "private"}, "queue", "denied", "done"),
}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from sandbox import image
    from sandbox.backends.engine import connect

    try:
        client = connect()
        images = image.ensure(client)
    except SandboxError as error:
        pytest.skip(f"no docker here: {error}")
    client.coderl_image = images["program"]
    yield client
    client.close()


def probe(client: Any, names: list[str], **changed: Any) -> dict[str, Any]:
    """What the probes `names` find in a container with all our flags but those `changed`."""
    from docker.types import LogConfig

    from sandbox.backends.docker import isolation

    flags = isolation(LIMITS, MEMORY) | {"log_config": LogConfig(type="json-file")} | changed
    container = client.containers.create(client.coderl_image, ["python3", "-c", PROBE, *names], **flags)
    try:
        container.start()
        assert container.wait(timeout=60)["StatusCode"] == 0, container.logs()
        found: dict[str, Any] = json.loads(container.logs(stdout=True, stderr=False))
        return found
    finally:
        container.remove(force=True)


@pytest.fixture(scope="module")
def with_all_flags(client: Any) -> dict[str, Any]:
    return probe(
        client, [*dict.fromkeys(name for _, name, _, _ in FLAGS.values()), "cpu", "own ipc", "own network"]
    )


@pytest.mark.docker
@pytest.mark.parametrize(("changed", "name", "kept", "lost"), FLAGS.values(), ids=FLAGS)
def test_a_flag_prevents_what_happens_without_it(
    client: Any, with_all_flags: dict[str, Any], changed: dict[str, Any], name: str, kept: Any, lost: Any
) -> None:
    assert with_all_flags[name] == kept
    assert probe(client, [name], **changed)[name] == lost


@pytest.mark.docker
def test_one_cpu_at_a_time(client: Any, with_all_flags: dict[str, Any]) -> None:
    assert with_all_flags["cpu"] == "100000"
    assert probe(client, ["cpu"], nano_cpus=0)["cpu"] in ("-1", "max")


@pytest.mark.docker
def test_no_network_and_no_ipc_namespace_is_shared(client: Any, with_all_flags: dict[str, Any]) -> None:
    names = ["own ipc", "own network"]
    shared, again = (probe(client, names, ipc_mode="host", network_mode="host", tmpfs={}) for _ in range(2))
    assert shared == again, "of the engine's host"
    assert not {with_all_flags[name] for name in names} & set(shared.values())


@pytest.mark.docker
def test_nothing_that_is_written_is_kept_on_the_host(client: Any) -> None:
    from sandbox.backends.docker import isolation

    flags = isolation(LIMITS, MEMORY)
    container = client.containers.create(
        client.coderl_image, ["python3", "-c", "print('x' * 10000)"], **flags
    )
    try:
        container.start()
        container.wait(timeout=60)
        container.reload()
        assert container.attrs["LogPath"] == ""
    finally:
        container.remove(force=True)


# Calls that the engine's profile lets pass (or lets pass where the kernel is new), and ours does not.
def test_our_own_filter_denies_its_calls_on_every_backend(shared_pool: Pool) -> None:
    column = 0 if seccomp.Filter()._column == 0 else 1
    numbers = {name: pair[column] for name, pair in seccomp._DENIED.items() if pair[column] is not None}
    program = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "def f(numbers):\n"
        "    found = {}\n"
        "    for name, number in numbers.items():\n"
        "        ctypes.set_errno(0)\n"
        "        if libc.syscall(number, -1, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1: found[name] = ctypes.get_errno()\n"
        "    return found, [libc.syscall(435, None, 0), ctypes.get_errno()]\n"
    )
    assert run_calls(shared_pool, program, numbers).tests[0].value == ({}, [-1, 38])
