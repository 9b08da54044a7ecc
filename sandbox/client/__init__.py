"""Programs run by daemons elsewhere, as if by a pool here.

    with sandbox.connect(["http://10.0.0.5:8000", "unix:///run/coderl/sandbox.sock"], token="...") as runner:
        outcome = runner.run(job)                          # a `protocol.Runner`, as `sandbox.open_pool` gives
        verdicts = runner.grade(tasks, completions)        # where the daemon grades too

    async with AsyncClient(["http://10.0.0.5:8000"], token="...") as client:
        outcome = await client.run(job)

Jobs submitted one by one travel in batches. Each goes to the daemon that has the least to do. If that one
fails, what it has not answered goes to another, or back to it under the same idempotency key, where it attaches to
what runs or gets what was recorded. A program runs in isolation and leaves nothing behind, so that running it
again elsewhere is safe; each future is resolved once.
"""

from __future__ import annotations

from sandbox.client.asynchronous import AsyncClient
from sandbox.client.errors import DaemonError
from sandbox.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "DaemonError"]
