"""Opens cells for all slots of a pool. An outage (no cell can be opened) is waited out once, not by each job."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.backends.base import Backend, host_failure
from sandbox.backends.cell import Cell, Role
from sandbox.errors import BackendError
from sandbox.protocol import Limits

PATIENCE_SECONDS = 30.0  # for which jobs that need a cell wait in an outage; later ones fail at once
RETRY_SECONDS = 0.5  # between attempts, at first by each slot, after the patience by one of them

_log = logging.getLogger(__name__)


@dataclass
class _Outage:
    error: BackendError
    since: float
    tried_at: float


class Opener:
    """Thread-safe. `limits` is what cells are made for."""

    def __init__(self, backend: Backend, limits: Limits) -> None:
        self._backend = backend
        self._limits = limits
        self._lock = threading.Lock()
        self._outages: dict[Role, _Outage] = {}

    def open(self, role: Role, pause: Callable[[float], None]) -> Cell:
        """A cell; while there is an outage `pause` is called with seconds to wait, and may raise.

        Raises `BackendError` where the outage is older than our patience.
        """
        while True:
            self._raise_if_hopeless(role)
            try:
                cell = self._open(role)
            except BackendError as error:
                if self._note(role, error):
                    raise
                _log.warning("a %s cell did not open; trying again: %s", role, error)
                pause(RETRY_SECONDS)
            else:
                with self._lock:
                    self._outages.pop(role, None)
                return cell

    def _open(self, role: Role) -> Cell:
        try:
            return self._backend.open_cell(role, self._limits)
        except OSError as error:
            raise host_failure(error) from error

    def _raise_if_hopeless(self, role: Role) -> None:
        """After the patience, one of the waiting slots tries now and then, for all."""
        with self._lock:
            outage = self._outages.get(role)
            if outage is None or not _is_long(outage):
                return
            if time.monotonic() - outage.tried_at < RETRY_SECONDS:
                raise BackendError(outage.error.problem, outage.error.remedy)
            outage.tried_at = time.monotonic()

    def _note(self, role: Role, error: BackendError) -> bool:
        """Takes note of a failure; whether it is to be given up."""
        now = time.monotonic()
        with self._lock:
            outage = self._outages.setdefault(role, _Outage(error, now, now))
            outage.error, outage.tried_at = error, now
            return _is_long(outage)


def _is_long(outage: _Outage) -> bool:
    return time.monotonic() - outage.since >= PATIENCE_SECONDS
