"""Logs, metrics and health: what an operator sees. Never a secret."""

from calibr.monitor.health import CheckResult, HealthChecks, Probe
from calibr.monitor.logs import configure_logging
from calibr.monitor.metrics import Metrics
from calibr.monitor.redaction import REDACTED, Secret, redact, scrub

__all__ = [
    "REDACTED",
    "CheckResult",
    "HealthChecks",
    "Metrics",
    "Probe",
    "Secret",
    "configure_logging",
    "redact",
    "scrub",
]
