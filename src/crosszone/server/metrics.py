"""Figures of the server for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BOUNDS_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "crosszone_http_requests",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "crosszone_http_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["route"],
            buckets=BOUNDS_SECONDS,
            registry=self._registry,
        )
        self._pending = Gauge(
            "crosszone_pending_requests",
            "Requests that wait for a worker or are computed.",
            ["pool"],
            registry=self._registry,
        )
        build = Gauge("crosszone_build", "The version that runs; always 1.", ["version"], registry=self._registry)
        build.labels(version=version).set(1)

    def count(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(method=method, route=route, status=str(status)).inc()
        self._seconds.labels(route=route).observe(seconds)

    def text(self, num_pending: dict[str, int]) -> bytes:
        """All figures; `num_pending` by pool."""
        for pool, number in num_pending.items():
            self._pending.labels(pool=pool).set(number)
        return generate_latest(self._registry)
