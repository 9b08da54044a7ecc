"""The Docker engine's client: any failure in talking to it is a `BackendError` with a remedy."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from sandbox.backends.base import as_text
from sandbox.errors import BackendError

ENGINE_ERRORS = (DockerException, RequestException)  # the SDK lets transport errors through


def connect() -> Any:
    """A client of the engine that the environment names. Raises `BackendError` with the remedy."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # the SDK drops its socket unclosed where nothing answers
        try:
            client = docker.from_env(timeout=60)
            client.ping()
            return client
        except ENGINE_ERRORS as error:
            text = as_text(error)
        gc.collect()  # that socket, here
    if "Permission denied" in text or "PermissionError" in text:
        raise BackendError(
            "the Docker engine does not let this user in",
            "Add the user to the group that owns the engine's socket (`sudo usermod -aG docker $USER`), log in again.",
        )
    raise BackendError(
        f"no Docker engine answers ({text})",
        "Install and start one (Debian, Ubuntu: `sudo apt-get install docker.io`), or set DOCKER_HOST.",
    )


@contextmanager
def engine_errors() -> Iterator[None]:
    """What the SDK raises here becomes a `BackendError`."""
    try:
        yield
    except ENGINE_ERRORS as error:
        raise BackendError(
            f"the Docker engine answers, but failed: {as_text(error)}",
            "See its log (`journalctl -u docker`) and its disk (`docker system df`), then try again.",
        ) from error


@contextmanager
def connected() -> Iterator[Any]:
    """A client, closed at the end. Raises `BackendError`, also for what fails in between."""
    client = connect()
    try:
        with engine_errors():
            yield client
    finally:
        client.close()
