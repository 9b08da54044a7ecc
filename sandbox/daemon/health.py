"""Whether this daemon should be sent jobs."""

from __future__ import annotations

import asyncio

from sandbox.daemon.batches import Batches
from sandbox.daemon.schedule import Scheduler
from sandbox.errors import SandboxError
from sandbox.pool.slot import CANARY, canary_passed
from sandbox.protocol import Status

_SUSPICIOUS = 3  # faults of ours in a row


class Health:
    """Ready, unless it drains, or its last jobs all ended as `infra` and a known good program does too."""

    def __init__(self, scheduler: Scheduler, batches: Batches) -> None:
        self._scheduler = scheduler
        self._batches = batches
        self._asking: asyncio.Task[str] | None = None

    async def problem(self) -> str:
        """Why not, or nothing. Runs a program only on suspicion, one at a time."""
        if self._batches.draining:
            return "draining"
        if self._scheduler.faults_in_a_row < _SUSPICIOUS:
            return ""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> str:
        try:
            outcome = await asyncio.wrap_future(self._scheduler.submit(CANARY))
        except SandboxError as error:
            return str(error)
        if outcome.status is Status.INFRA or not canary_passed(outcome):
            return f"a program known to be good fails: {outcome.detail or outcome.status}"
        return ""
