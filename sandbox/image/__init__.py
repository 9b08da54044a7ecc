"""The two images of the docker backend, `program` and `judge`, with the usual packages.

Built from the Dockerfile here; where no registry answers, from Debian packages on a debootstrap root. The tag
is a hash of what the image is made from, so building again is free.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from sandbox.backends.cell import ROLES, Role
from sandbox.backends.packages import USUAL
from sandbox.errors import ImageError

REPOSITORY = "coderl-sandbox"
BUILD_COMMAND = "coderl sandbox image"
_FOLDER = Path(__file__).parent
_SUITE = "trixie"  # as in the Dockerfile, whatever this system is: programs meet the same interpreter
_LEFT_OUT = tuple(
    "./proc ./sys ./dev ./var/cache ./var/log ./var/lib/apt/lists ./usr/share/doc ./usr/share/man "
    "./usr/share/locale ./etc/resolv.conf".split()
)

# debootstrap mounts /proc in its root: in a mount namespace of its own, so that we never delete through a mount.
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child")

Report = Callable[[str], None]


def tag(role: Role) -> str:
    """Of the image that this version of coderl uses, whichever way it was built."""
    made_from = (_SUITE, *USUAL["judge"], *_LEFT_OUT)
    recipe = (_FOLDER / "Dockerfile").read_bytes() + " ".join(made_from).encode()
    return f"{REPOSITORY}:{role}-{hashlib.sha256(recipe).hexdigest()[:12]}"


def debian_packages(role: Role) -> list[str]:
    """Debian's names of the usual packages."""
    return [f"python3-{name}" for name in USUAL[role]]


def find(client: Any) -> dict[Role, str] | None:
    """Image ids by role, or None where they are not all built."""
    try:
        return {role: str(client.images.get(tag(role)).id) for role in ROLES}
    except ImageNotFound:
        return None


def require(client: Any, image: str) -> None:
    """Raises `ImageError` where the engine has no image of that id."""
    try:
        client.images.get(image)
    except ImageNotFound:
        raise ImageError(
            f"the engine has no image {image}",
            "See `docker images --digests --no-trunc`; build or pull it first.",
        ) from None


def ensure(client: Any, report: Report = lambda line: None) -> dict[Role, str]:
    """Image ids by role, built first where missing (a minute or two). Raises `ImageError`."""
    if (found := find(client)) is not None:
        return found
    with one_builder(report):
        if (found := find(client)) is not None:
            return found
        try:
            _build_with_dockerfile(client, report)
        except (BuildError, APIError) as error:
            report(f"the base image cannot be had ({' '.join(str(error).split())[:200]})")
            report("building on a debootstrap root instead")
            _build_with_debootstrap(report)
        found = find(client)
    if found is None:
        raise ImageError("the sandbox image was built but cannot be found", f"Try again: `{BUILD_COMMAND}`.")
    return found


@contextmanager
def one_builder(report: Report) -> Iterator[None]:
    """Among this user's processes on this machine, only one builds; the others wait for it."""
    path = Path(tempfile.gettempdir()) / f"coderl-image-{os.geteuid()}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that builds the sandbox image")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _build_with_dockerfile(client: Any, report: Report) -> None:
    for role in ROLES:
        report(f"building {tag(role)} from the Dockerfile")
        arguments = {each: " ".join(USUAL[each]) for each in ROLES}
        client.images.build(path=str(_FOLDER), target=role, tag=tag(role), buildargs=arguments, rm=True)


def _build_with_debootstrap(report: Report) -> None:
    with debootstrapped(["python3"], report) as root:
        for role in ROLES:
            names = debian_packages(role)
            report(f"adding {', '.join(names)}")
            install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *names]
            _command([*_ALONE, "chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", *install])
            import_root(root, tag(role), report)


@contextmanager
def debootstrapped(packages: Sequence[str], report: Report) -> Iterator[Path]:
    """The root of a Debian, from this system's own mirror, with `packages`. Raises `ImageError`."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise ImageError(
            "the sandbox image cannot be built: no registry answers for its base, and debootstrap needs to be "
            "installed and run by root",
            f"Give the engine access to a registry, or run `sudo apt-get install debootstrap` and then, as root, "
            f"`{BUILD_COMMAND}`.",
        )
    mirror = _debian_mirror()
    with tempfile.TemporaryDirectory(prefix="coderl-image-") as folder:
        root = Path(folder) / "root"
        report(f"installing Debian {_SUITE} with {', '.join(packages)} (debootstrap)")
        include = f"--include={','.join(packages)}"
        _command([*_ALONE, "debootstrap", "--variant=minbase", include, _SUITE, str(root), mirror])
        yield root


def import_root(root: Path, name: str, report: Report) -> None:
    """`docker import` of a folder, streamed. Raises `ImageError`."""
    from sandbox.backends.engine import connect

    report(f"importing {name}")
    excludes = [f"--exclude={path}/*" for path in _LEFT_OUT]
    archive = subprocess.Popen(
        ["tar", "--create", "--numeric-owner", "--directory", str(root), *excludes, "."],
        stdout=subprocess.PIPE,
    )
    assert archive.stdout is not None
    repository, _, version = name.partition(":")
    client = connect()
    try:
        client.api.import_image_from_data(archive.stdout, repository=repository, tag=version)
    except DockerException as error:
        raise ImageError(f"the engine cannot import the image: {error}") from error
    finally:
        client.close()
        archive.stdout.close()
    if archive.wait() != 0:
        raise ImageError(f"tar of the image's root failed with status {archive.returncode}")


def _debian_mirror() -> str:
    """Of this system's own apt sources."""
    listed = _command(["apt-get", "indextargets", "--format", "$(CREATED_BY) $(REPO_URI)"])
    for line in listed.splitlines():
        kind, _, mirror = line.partition(" ")
        if kind == "Packages" and re.fullmatch(r"https?://\S+/debian/?", mirror):
            return mirror
    raise ImageError(
        "the sandbox image cannot be built: no registry answers, and apt's sources name no Debian mirror",
        "Give the Docker engine access to a registry for the python image.",
    )


def _command(line: Sequence[str]) -> str:
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        last = " ".join(done.stdout.split())[-500:]
        raise ImageError(f"`{' '.join(line[:3])} ...` failed with status {done.returncode}: {last}")
    return done.stdout
