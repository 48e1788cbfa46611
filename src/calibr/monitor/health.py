"""Readiness: named probes that say whether this process can do its work. Liveness needs no probe: it answers."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

FRESH_FOR_S = 1.0

Probe = Callable[[], str | None]
"""Returns None when all is well, else a sentence without secrets. May raise: that is a failure too."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One probe's answer."""

    name: str
    ok: bool
    problem: str | None = None


class HealthChecks:
    """The probes of one process, in the order of their registration."""

    def __init__(self, probes: Mapping[str, Probe], *, fresh_for_s: float = FRESH_FOR_S) -> None:
        self._probes = dict(probes)
        self._fresh_for_s = fresh_for_s
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._results: list[CheckResult] = []

    def run(self) -> list[CheckResult]:
        """Run every probe, or give what they said a moment ago: anybody may ask, and asking must stay cheap.

        What a failed one raised is logged and not shown.
        """
        with self._lock:
            if time.monotonic() - self._asked_at > self._fresh_for_s:
                self._results = [_run(name, probe) for name, probe in self._probes.items()]
                self._asked_at = time.monotonic()
            return self._results


def _run(name: str, probe: Probe) -> CheckResult:
    try:
        problem = probe()
    except Exception:  # noqa: BLE001 - whatever went wrong, this part is not ready; the log has the reason
        structlog.get_logger().warning("health.probe_failed", probe=name, exc_info=True)
        return CheckResult(name, ok=False, problem=f"{name} does not answer")
    return CheckResult(name, ok=problem is None, problem=problem)
