"""How many programs this machine may run at once: a bound that catches mistakes (docs/serving.md has advice)."""

from __future__ import annotations

import os

from sandbox.errors import CapacityError
from sandbox.protocol import MIB

_SLOTS_A_CORE = 16
_MEMORY_A_SLOT = 64 * MIB  # two supervisors, program and judge, before either is given anything to do


def check_slots(slots: int) -> None:
    """Raises `CapacityError` for more slots than this machine can hold."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = max(1, min(cores * _SLOTS_A_CORE, memory // _MEMORY_A_SLOT))
    if slots > most:
        raise CapacityError(
            f"{slots:,} slots are more than this machine can hold, which is {most:,}: it has {cores} cores "
            f"({_SLOTS_A_CORE} slots for each) and {memory / (1024 * MIB):.1f} GiB of memory "
            f"({_MEMORY_A_SLOT // MIB} MiB for each slot). A slot is one program at a time: one for each core "
            "is the fastest; for more, start daemons on more machines"
        )
