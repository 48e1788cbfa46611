"""Readiness: named probes that say whether this process can do its work. Liveness needs no probe: it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

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

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = dict(probes)

    def run(self) -> list[CheckResult]:
        """Run every probe. What a failed one raised is logged and not shown: the answer is public."""
        return [_run(name, probe) for name, probe in self._probes.items()]


def _run(name: str, probe: Probe) -> CheckResult:
    try:
        problem = probe()
    except Exception:  # noqa: BLE001 - whatever went wrong, this part is not ready; the log has the reason
        structlog.get_logger().warning("health.probe_failed", probe=name, exc_info=True)
        return CheckResult(name, ok=False, problem=f"{name} does not answer")
    return CheckResult(name, ok=problem is None, problem=problem)
