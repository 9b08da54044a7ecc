"""The daemon as a process: where it listens, what it logs, how it is started."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

import sandbox
from sandbox.daemon.routes import create_app
from sandbox.daemon.server import JsonLines, Place, ServeError
from sandbox.daemon.tokens import Caller, Tokens
from sandbox.protocol import Status
from tests.sandbox.daemons import FakePool, call, running, until, wire
from tests.sandbox.test_daemon import IMAGE, secret


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org"])
def test_others_are_not_let_in_without_a_token(host: str) -> None:
    with pytest.raises(ServeError, match="--tokens"):
        Place(host=host).check(Tokens())
    Place(host=host).check(Tokens([Caller("a", secret("a"))]))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", None])
def test_the_loopback_needs_no_token(host: str | None) -> None:
    Place(host=host).check(Tokens())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(host=None, unix=tmp_path / "s.sock")


def test_a_unix_socket_is_for_its_user_and_group_and_replaces_a_dead_one(place: Place) -> None:
    assert place.unix is not None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place.unix))
    with place.sockets() as (listener,):
        assert place.unix.stat().st_mode & 0o777 == 0o660
        listener.listen()
        with pytest.raises(
            ServeError, match="another process listens there; choose another path with --unix"
        ):
            place.sockets().__enter__()
    assert not place.unix.exists()


def test_a_daemon_that_drained_leaves_its_successors_socket(place: Place) -> None:
    assert place.unix is not None
    with ExitStack() as draining:
        (first,) = draining.enter_context(place.sockets())
        first.close()  # the first that a daemon does when it drains
        with place.sockets() as (second,), socket.socket(socket.AF_UNIX) as client:
            second.listen()
            draining.close()
            client.connect(str(place.unix))
    assert not place.unix.exists()


def test_an_address_in_use_is_told_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"at http://127.0.0.1:{port}: Address already in use; .*--port"):
            Place(port=port).sockets().__enter__()
    with pytest.raises(ServeError, match=r"at http://\[::1\]:70000: .*--port"):
        Place(host="::1", port=70_000).sockets().__enter__()


def test_a_client_works_through_a_unix_socket(place: Place) -> None:
    with running(create_app({IMAGE: FakePool()}), unix=place.unix) as (url, _):
        assert url == f"unix://{place.unix}"
        with sandbox.connect(url) as client:
            assert client.run(call()).status is Status.OK


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream, logger = io.StringIO(), logging.getLogger("sandbox.daemon")
    handler, level = logging.StreamHandler(stream), logger.level
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_each_request_is_a_line_of_the_log_without_programs(log: io.StringIO) -> None:
    app = create_app({IMAGE: FakePool()}, tokens=Tokens([Caller("trainer", secret("t"))]))
    with running(app) as (url, _), httpx.Client(base_url=url) as http:
        body = {"jobs": [wire("a", program="a secret")]}
        sent = http.post("/v1/run", json=body, headers={"Authorization": "Bearer t"})
        assert http.post("/v1/run", json=body).status_code == 401
        until(lambda: log.getvalue().count("\n") == 2)
    answered, refused = map(json.loads, log.getvalue().splitlines())
    assert answered["level"] == "info" and answered["logger"] == "sandbox.daemon.access"
    assert (answered["method"], answered["path"], answered["status"]) == ("POST", "/v1/run", 200)
    assert (answered["token"], answered["bytes"]) == ("trainer", len(sent.content))
    assert (refused["token"], refused["status"]) == ("", 401)
    assert "secret" not in log.getvalue()


def test_an_exception_is_one_line_of_the_log(log: io.StringIO) -> None:
    try:
        raise KeyError("a\nb")
    except KeyError:
        logging.getLogger("sandbox.daemon").exception("it broke: %s", "c\nd")
    (line,) = log.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["message"]) == ("error", "it broke: c\nd")
    assert "KeyError" in told["exception"]
