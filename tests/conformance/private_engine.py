"""A Docker engine of our own: it can be stopped and started, and its disk filled, without anyone else noticing."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from sandbox import image
from sandbox.backends.cell import ROLES

_START_SECONDS = 60.0
_DISK_MIB, _DISK_FILES = 2048, 65536  # of its own: the sandbox's images take a third


@contextmanager
def private_engine(folder: Path) -> Iterator[PrivateEngine]:
    """One that runs, and has the sandbox's images. Needs root."""
    engine = PrivateEngine(folder)
    with small_disk(engine.disk, _DISK_MIB, _DISK_FILES):
        try:
            engine.start()
            engine.copy_images()
            yield engine
        finally:
            engine.stop()


@contextmanager
def small_disk(folder: Path, mib: int, files: int) -> Iterator[None]:
    folder.mkdir()
    size = f"size={mib}m,nr_inodes={files}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class PrivateEngine:
    """`dockerd` with its data, state and socket under `folder`, without bridge or firewall rules. Needs root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.disk = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder}/docker.sock"

    def start(self) -> None:
        """Raises `RuntimeError` with the log's end where it does not answer in time."""
        folder = self._folder
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    # In a network of its own: an engine without a bridge removes the machine's docker0.
                    *("unshare", "--net", "dockerd"),
                    *("--host", self.url, "--data-root", str(self.disk), "--exec-root", f"{folder}/exec"),
                    *("--pidfile", f"{folder}/pid", "--bridge=none", "--iptables=false", "--ip6tables=false"),
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                # By hand first: a client that finds nobody leaves its socket open.
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(self.url.removeprefix("unix://"))
                with closing(self.client()) as client:
                    client.ping()
                return
            except (OSError, DockerException, RequestException):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    tail = (folder / "log").read_text(errors="replace")[-1500:]
                    self.stop()
                    raise RuntimeError(f"the private engine did not start:\n{tail}") from None
                time.sleep(0.2)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def client(self) -> Any:
        return docker.DockerClient(base_url=self.url, timeout=600)

    def copy_images(self) -> None:
        """The sandbox's images, from the machine's engine."""
        host, mine = docker.from_env(timeout=600), self.client()
        try:
            image.ensure(host)
            for role in ROLES:
                mine.images.load(host.images.get(image.tag(role)).save(named=True))
        finally:
            host.close()
            mine.close()
