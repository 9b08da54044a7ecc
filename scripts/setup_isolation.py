"""Sees that something can isolate programs: a Docker engine that this user may use, bubblewrap, or Landlock.

Run by scripts/setup.sh on every set-up; standard library only. With neither of the first two it installs bubblewrap
where it may, without asking, saying what it runs and how to undo it; where that does not help either, it says that
programs will be confined by Landlock and seccomp, the weakest of the three. Whether a backend really holds a program
is proved by the sandbox itself, by running one, at its first use.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

# Package manager: (what installs bubblewrap, what removes it).
MANAGERS = {
    "apt-get": ("apt-get update && apt-get install -y bubblewrap", "apt-get remove bubblewrap"),
    "dnf": ("dnf install -y bubblewrap", "dnf remove bubblewrap"),
    "yum": ("yum install -y bubblewrap", "yum remove bubblewrap"),
    "zypper": ("zypper --non-interactive install bubblewrap", "zypper remove bubblewrap"),
    "pacman": ("pacman -Sy --noconfirm bubblewrap", "pacman -R bubblewrap"),
}
ENGINE = "unix:///var/run/docker.sock"


def main() -> int:
    no_docker = docker_problem()
    no_bubblewrap = bubblewrap_problem()
    if no_docker is not None and no_bubblewrap is not None:
        if shutil.which("bwrap") is None:
            no_bubblewrap = install_bubblewrap()
        if no_bubblewrap is not None:
            no_landlock = landlock_problem()
            if no_landlock is None:
                say(
                    "programs will run in `confined` processes (Landlock and seccomp), weaker than a container;"
                )
                say("what that lacks is in sandbox/backends/README.md. What is stronger cannot be used here:")
            else:
                say("programs cannot be isolated here yet, and coderl never runs one that is not.")
            say(f"  Docker: {no_docker}")
            say(f"  bubblewrap: {no_bubblewrap}")
            if no_landlock is not None:
                say(f"  Landlock: {no_landlock}")
                say("  One of them is enough; `make setup` again when it is there.")
    return 0


def docker_problem() -> str | None:
    """Why the engine cannot be used, with the remedy; None where it answers."""
    address = os.environ.get("DOCKER_HOST", ENGINE)
    if not address.startswith("unix://"):
        return None  # an engine elsewhere, chosen by the user: the sandbox tries it at first use
    path = address.removeprefix("unix://")
    try:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.settimeout(3)
            engine.connect(path)
            engine.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            answer = engine.recv(64)
    except FileNotFoundError:
        return f"there is no engine at {path}. Remedy: install Docker"
    except PermissionError:
        return f"this user may not use {path}. Remedy: `sudo usermod -aG docker $USER`, then log in again"
    except ConnectionRefusedError:
        return f"no engine answers at {path}. Remedy: start it, for example `sudo systemctl start docker`"
    except TimeoutError:
        return f"the engine at {path} did not answer within 3 s. Remedy: restart it"
    return None if b" 200 " in answer else f"what listens at {path} is not a Docker engine: {answer!r}"


def bubblewrap_problem() -> str | None:
    """Why bubblewrap cannot be used, with the remedy; None where it starts a program."""
    if shutil.which("bwrap") is None:
        return "not installed"
    tried = subprocess.run(
        ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if tried.returncode == 0:
        return None
    said = tried.stderr.strip()
    if setting("apparmor_restrict_unprivileged_userns") == "1":
        remedy = "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    elif setting("unprivileged_userns_clone") == "0":
        remedy = "sudo sysctl kernel.unprivileged_userns_clone=1"
    else:
        remedy = "let this user make user namespaces, or inside a container give it the right to mount /proc"
    return f"it cannot make a sandbox ({said}). Remedy: {remedy}"


def landlock_problem() -> str | None:
    """Why the kernel's Landlock cannot be used, with the remedy; None where it can."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from sandbox.inside.supervisor import landlock  # of the standard library only, as this is

    version = landlock.abi()
    if version >= landlock.LEAST_ABI:
        return None
    return (
        f"the kernel offers version {version}, and {landlock.LEAST_ABI} is the least that will do. "
        "Remedy: Linux 6.2 or later with `landlock` in its `lsm=` list"
    )


def setting(name: str) -> str | None:
    """A kernel setting, or None on a kernel that has none of that name."""
    try:
        with open(f"/proc/sys/kernel/{name}") as file:
            return file.read().strip()
    except FileNotFoundError:
        return None


def install_bubblewrap() -> str | None:
    """Install it if this user may. None where it then works, else the problem with the command that helps."""
    manager = next((name for name in MANAGERS if shutil.which(name)), None)
    if manager is None:
        return "not installed, and no package manager that coderl knows is here. Remedy: install bubblewrap"
    install, remove = MANAGERS[manager]
    prefix = administrator()
    if prefix is None:
        return f"not installed. Remedy: sudo sh -c '{install}'"
    command = [*prefix, "sh", "-c", install]
    say("no Docker engine and no bubblewrap: installing bubblewrap, which isolates the programs. Running:")
    say(f"  {' '.join(prefix)} sh -c '{install}'".replace("   ", "  "))
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    if done.returncode != 0:
        tail = "\n    ".join(done.stdout.strip().splitlines()[-5:])
        return f"installing it failed:\n    {tail}\n    Remedy: see why and run it again: {install}"
    say(f"bubblewrap is installed. To undo: {' '.join([*prefix, remove])}")
    return bubblewrap_problem()


def administrator() -> list[str] | None:
    """What to put before a command for root's rights without a password; None where there is no way."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
