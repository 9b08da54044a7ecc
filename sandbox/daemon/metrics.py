"""Metrics for Prometheus. Each daemon has its own registry, so that several can live in one process."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Answered requests", "path", "status")
        self.results = self._counter("results", "Answered items, by their status", "kind", "status")
        self.cancelled = self._counter("cancelled", "Items dropped because their client had gone")
        self.attached = self._counter("attached", "Items answered by their idempotency key")
        self.cache_hits = self._counter("cache_hits", "Items answered from the cache")
        self.waited = Histogram(
            "coderl_sandbox_wait_seconds",
            "Time from a job's arrival to its start",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.ran = Histogram(
            "coderl_sandbox_run_seconds",
            "Wall-clock time of a job in its slot",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge whose value a function gives."""
        Gauge(f"coderl_sandbox_{name}", text, registry=self.registry).set_function(value)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"coderl_sandbox_{name}", text, labels, registry=self.registry)

    def page(self) -> bytes:
        return generate_latest(self.registry)
