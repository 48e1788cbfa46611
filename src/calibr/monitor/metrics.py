"""Prometheus metrics of one process, in a registry of their own so that two applications in a process do not mix."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
JOB_BUCKETS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Metrics:
    """All metrics with their labels. Routes are templates and never paths, so that the number of series is bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.http_requests = Counter(
            "calibr_http_requests", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self.http_errors = Counter(
            "calibr_http_errors",
            "Requests answered with a problem",
            ("method", "route", "code"),
            registry=self.registry,
        )
        self.http_duration = Histogram(
            "calibr_http_request_duration_seconds",
            "Time from the first byte of a request to the last of its answer",
            ("method", "route"),
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.http_in_flight = Gauge("calibr_http_requests_in_flight", "Requests in work", registry=self.registry)
        self.jobs = Counter(
            "calibr_jobs",
            "Jobs ended, by kind (sync, preview, apply, deliver, housekeeping)",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self.job_duration = Histogram(
            "calibr_job_duration_seconds", "Time of a job", ("kind",), buckets=JOB_BUCKETS_S, registry=self.registry
        )
        self.jobs_running = Gauge("calibr_jobs_running", "Jobs in work", ("kind",), registry=self.registry)
        self.apply_items = Counter(
            "calibr_apply_items", "Items settled by apply runs", ("state",), registry=self.registry
        )

        self.deliveries = Counter(
            "calibr_deliveries", "Events delivered, by kind of subscriber", ("kind",), registry=self.registry
        )

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
