import pytest
from structlog.testing import capture_logs

from calibr.monitor import CheckResult, HealthChecks, Metrics


def broken() -> str | None:
    raise RuntimeError("password=canary")


def test_probes_answer_in_order_with_their_problem() -> None:
    checks = HealthChecks({"database": lambda: None, "worker": lambda: "the worker has been silent for 30 s"})

    assert checks.run() == [
        CheckResult("database", ok=True),
        CheckResult("worker", ok=False, problem="the worker has been silent for 30 s"),
    ]


def test_what_a_probe_raised_is_logged_and_not_shown() -> None:
    with capture_logs() as logs:
        (result,) = HealthChecks({"database": broken}).run()

    assert result == CheckResult("database", ok=False, problem="database does not answer")
    assert [line["event"] for line in logs] == ["health.probe_failed"]


def test_asking_again_at_once_costs_nothing_and_later_asks_anew() -> None:
    asked: list[int] = []
    patient = HealthChecks({"database": lambda: asked.append(1)}, fresh_for_s=60)
    eager = HealthChecks({"database": lambda: asked.append(2)}, fresh_for_s=0)

    for checks in (patient, patient, eager, eager):
        checks.run()

    assert asked == [1, 2, 2]


def test_two_applications_do_not_share_their_numbers() -> None:
    first, second = Metrics(), Metrics()

    first.http_requests.labels("GET", "/v1/me", "200").inc()

    assert b'calibr_http_requests_total{method="GET",route="/v1/me",status="200"} 1.0' in first.render()
    assert b"/v1/me" not in second.render()


@pytest.mark.parametrize(
    "name", ["http_requests", "http_errors", "http_request_duration_seconds", "jobs", "apply_items"]
)
def test_every_metric_is_described(name: str) -> None:
    assert f"# HELP calibr_{name}".encode() in Metrics().render()
