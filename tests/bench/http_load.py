"""A daemon under load: many clients at once, each with its own connection; memory, latency and descriptors.

    python -m tests.bench.http_load [--jobs 20000] [--clients 64] [--batch 4] [--slots 2] [--backend auto]

Ends with one JSON line. `descriptors` are the daemon's before the load, and after it, when all clients have gone; on docker
up to twelve more are idle connections to the engine, which its client keeps from the first replaced cells on. Memory is
the daemon's resident set at a tenth, at half and at the end of the jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from typing import Any

import httpx

from sandbox.job_json import job_to_json
from sandbox.protocol import Call, Calls, Job, Status
from tests.bench.daemons import DaemonProcess, daemon_process

PROGRAM = "def f(x):\n    return sorted(str(x) * 3)\n"


def job(number: int) -> dict[str, object]:
    return job_to_json(Job(id=f"{number}", program=PROGRAM, work=Calls((Call("f", (number,)),))))


class Load:
    def __init__(self, daemon: DaemonProcess, jobs: int, batch: int) -> None:
        self.daemon = daemon
        self.batch = batch
        self.jobs = jobs
        self.latencies: list[float] = []  # of requests, refused attempts included
        self.refused = 0
        self.wrong = 0
        self.done = 0
        self.memory: dict[float, float] = {}
        self._next = 0

    async def client(self) -> None:
        async with httpx.AsyncClient(base_url=self.daemon.url, timeout=300) as http:
            while self._next < self.jobs:
                numbers = range(self._next, min(self._next + self.batch, self.jobs))
                self._next += self.batch
                await self._batch(http, numbers)

    async def _batch(self, http: httpx.AsyncClient, numbers: range) -> None:
        started = time.perf_counter()
        body = {"jobs": [job(number) for number in numbers]}
        while (response := await http.post("/v1/run", json=body)).status_code == 429:
            self.refused += 1
            await asyncio.sleep(float(response.headers["retry-after"]))
        self.latencies.append(time.perf_counter() - started)
        for line in response.text.splitlines():
            row: dict[str, Any] = json.loads(line) if line else {"done": 0}
            if "done" not in row:
                expected = sorted(str(numbers[row["index"]]) * 3)
                outcome = row.get("outcome", {})
                right = outcome.get("status") == Status.OK and outcome["tests"][0]["value"] == expected
                self.wrong += not right
                self.done += 1
        for share in (0.1, 0.5, 1.0):
            if self.done >= share * self.jobs:
                self.memory.setdefault(share, round(self.daemon.resident_mib(), 1))


async def run(load: Load, clients: int) -> float:
    started = time.perf_counter()
    await asyncio.gather(*(load.client() for _ in range(clients)))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--backend", default="auto")
    options = parser.parse_args()
    with daemon_process("--slots", str(options.slots), "--backend", options.backend) as daemon:
        httpx.get(f"{daemon.url}/readyz")
        before = daemon.descriptors()
        load = Load(daemon, options.jobs, options.batch)
        seconds = asyncio.run(run(load, options.clients))
        deadline = time.monotonic() + 30  # a busy daemon takes a moment to see that its clients have gone
        while daemon.descriptors() > before and time.monotonic() < deadline:
            time.sleep(0.2)
        cuts = statistics.quantiles(load.latencies, n=100)
        print(
            json.dumps(
                {
                    "jobs": load.done,
                    "clients": options.clients,
                    "batch": options.batch,
                    "wrong": load.wrong,
                    "refused_429": load.refused,
                    "per_second": round(load.done / seconds, 1),
                    "request_p50_seconds": round(cuts[49], 3),
                    "request_p99_seconds": round(cuts[98], 3),
                    "memory_mib": {f"{share:.0%}": mib for share, mib in load.memory.items()},
                    "descriptors": {"before": before, "after": daemon.descriptors()},
                }
            )
        )


if __name__ == "__main__":
    main()
