"""What our seccomp filter costs a process: system calls with and without it, alternating.

python -m tests.bench.seccomp
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

from sandbox.inside.supervisor import seccomp

_CALLS = 200_000
_ROUNDS = 7


def _nanoseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(_CALLS):
        call()
    return (time.perf_counter() - started) / _CALLS * 1e9


def _in_child(filtered: bool) -> dict[str, float]:
    """Nanoseconds a call takes: one that the filter does not name, and one whose argument it looks at."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        if filtered:
            seccomp.set_no_new_privileges()
            seccomp.install_filter()
        found = {"getppid": _nanoseconds(os.getppid), "stat": _nanoseconds(lambda: os.stat("/"))}
        os.write(writer, json.dumps(found).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        result: dict[str, float] = json.load(pipe)
    os.waitpid(child, 0)
    return result


def main() -> int:
    rounds = [(_in_child(False), _in_child(True)) for _ in range(_ROUNDS)]
    figures: dict[str, float] = {}
    for name in rounds[0][0]:
        without, with_filter = (statistics.median(each[i][name] for each in rounds) for i in (0, 1))
        ratio = statistics.median(each[1][name] / each[0][name] for each in rounds)
        print(f"{name}: {without:.0f} ns without the filter, {with_filter:.0f} ns with it, ratio {ratio:.3f}")
        figures |= {
            f"{name}_ns": round(without),
            f"{name}_filtered_ns": round(with_filter),
            f"{name}_ratio": round(ratio, 3),
        }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
