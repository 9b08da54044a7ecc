"""Runs untrusted programs in isolation, here (`open_pool`) or by daemons elsewhere (`connect`).

The types are in `sandbox.protocol`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from sandbox.protocol import Limits

if TYPE_CHECKING:
    from sandbox.client import Client
    from sandbox.pool.pool import Pool


def open_pool(
    slots: int,
    backend: str = "auto",
    *,
    limits: Limits | None = None,
    languages: Collection[str] = (),
    requirements: Collection[str] = (),
    report: Callable[[str], None] = lambda line: None,
) -> Pool:
    """A pool of `slots` warm sandboxes; use it in a `with` statement.

    `backend`: `docker`, `bubblewrap`, `confined`, or `auto` for the first that works. `languages`: what programs are
    written in besides Python (`cpp`). `requirements`: packages beyond the usual ones that programs and tests find, as
    pip names them; fetched once. `report` gets a line before what takes long (building the docker image where it is
    missing), and where a weaker backend is taken. Raises `sandbox.errors.NoBackendError`, with the remedies.
    """
    from sandbox.pool.opening import open_backend
    from sandbox.pool.pool import Pool

    limits = limits or Limits()
    return Pool(open_backend(backend, limits, report, languages, requirements), slots, limits=limits)


def connect(urls: str | Sequence[str], token: str | None = None, **options: Any) -> Client:
    """A runner on one or several daemons; use it in a `with` statement. Options: see `sandbox.client.AsyncClient`.

    `urls` are `http://HOST:PORT`, `https://...` or `unix:///PATH`. Raises `sandbox.client.DaemonError`.
    """
    from sandbox.client import Client

    return Client([urls] if isinstance(urls, str) else urls, token, **options)
