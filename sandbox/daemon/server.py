"""The daemon as a process: sockets, structured logs, signals, drain."""

from __future__ import annotations

import gc
import ipaddress
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

import sandbox
from sandbox.daemon import tokens as token_file
from sandbox.daemon.routes import MakeRouter, Service, Settings, create_app
from sandbox.daemon.schedule import SlotPool
from sandbox.daemon.tokens import Tokens
from sandbox.errors import SandboxError
from sandbox.pool.opening import open_image
from sandbox.pool.pool import Pool
from sandbox.protocol import Limits


class ServeError(SandboxError):
    """The daemon cannot start: what is wrong, what helps."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the daemon listens: TCP, a unix socket, or both."""

    host: str | None = "127.0.0.1"
    port: int = 8000
    unix: Path | None = None

    def check(self, tokens: Tokens) -> None:
        """Raises `ServeError` for an address that others reach, without a token."""
        if self.host is not None and not tokens.required and not _is_loopback(self.host):
            raise ServeError(
                f"--host {self.host} can be reached from other machines, and no token is required; name a token "
                "file with --tokens, or bind to 127.0.0.1"
            )

    @contextmanager
    def sockets(self) -> Iterator[list[socket.socket]]:
        """Bound sockets, inside the `with` block. Raises `ServeError`."""
        with ExitStack() as held:
            found = []
            if self.unix is not None:
                found.append(held.enter_context(_unix_socket(self.unix)))
            if self.host is not None:
                found.append(held.enter_context(_tcp_socket(self.host, self.port)))
            if not found:
                raise ServeError("nothing to listen at; name a --host or a --unix socket")
            yield found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _tcp_socket(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:  # OverflowError: no number of a port
            remedy = "another --port (0: any free one) or --host"
            raise _cannot_listen(_url(host, port), error, remedy) from None
        yield listener


@contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    """Only this user and its group may connect. A socket without a listener is replaced."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _bind(listener, path)
            ours = _file_at(path)
        except OSError as error:
            raise _cannot_listen(str(path), error, "another path with --unix") from None
        try:
            yield listener
        finally:
            if _file_at(path) == ours:  # not that of a daemon that was started while this one drained
                path.unlink(missing_ok=True)


def _bind(listener: socket.socket, path: Path) -> None:
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as other:
            if other.connect_ex(str(path)) == 0:
                raise OSError("another process listens there")
        path.unlink()
    before = os.umask(0o117)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)


def _file_at(path: Path) -> tuple[int, ...]:
    """Tells a file from all others that were or will be at its path: the number of an inode is used again."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _cannot_listen(where: str, error: Exception, remedy: str) -> ServeError:
    problem = getattr(error, "strerror", None) or error
    return ServeError(f"cannot listen at {where}: {problem}; choose {remedy}")


class JsonLines(logging.Formatter):
    """One JSON object a line; `extra={"fields": {...}}` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Server(uvicorn.Server):
    """On the first SIGTERM or SIGINT: not ready, nothing new, what runs is finished; on the second: stop."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # the objects there are by now stay, so the collector need not look at them again
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Not uvicorn's own, which raises the signal again at the end: then nothing after `run` would happen."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._service.batches.draining = True


def serve(
    *,
    place: Place,
    slots: int,
    backend: str = "auto",
    limits: Limits | None = None,
    images: Iterable[str] = (),
    languages: Collection[str] = (),
    requirements: Collection[str] = (),
    settings: Settings | None = None,
    tokens: Path | None = None,
    routers: Iterable[MakeRouter] = (),
    drain_seconds: int = 60,
    ready: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve until a signal says otherwise. Raises `SandboxError` where it cannot start."""
    allowed = token_file.read(tokens) if tokens else Tokens()
    place.check(allowed)
    start_logging()
    with place.sockets() as sockets:
        pools = open_pools(slots, backend, limits or Limits(), images, languages, requirements)
        app = create_app(pools, settings=settings, tokens=allowed, routers=routers)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=drain_seconds,
            timeout_keep_alive=75,
        )
        line = f"listening at {', '.join(map(_name, sockets))}"
        Server(config, app.state.service, lambda: ready(line)).run(sockets)


def open_pools(
    slots: int,
    backend: str,
    limits: Limits,
    images: Iterable[str],
    languages: Collection[str],
    requirements: Collection[str] = (),
) -> dict[str, SlotPool]:
    """A pool by its image's digest: first that of the backend's own image, which runs `languages` besides Python and
    has `requirements`, then one for each of `images` (docker)."""
    log = logging.getLogger(__name__)
    log.info("opening %d slots", slots)
    first = sandbox.open_pool(
        slots, backend, limits=limits, languages=languages, requirements=requirements, report=log.info
    )
    pools: dict[str, SlotPool] = {first.image: first}
    try:
        for image in images:
            log.info("opening %d slots with image %s", slots, image)
            pools[image] = Pool(open_image(image, limits, log.info), slots, limits=limits)
    except BaseException:
        for pool in pools.values():
            pool.close()
        raise
    return pools


def start_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("docker").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def _name(listener: socket.socket) -> str:
    address = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{address}"
    return _url(address[0], address[1])


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
