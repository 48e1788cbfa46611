from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2
import psycopg
import pytest
import structlog
from sqlalchemy.exc import OperationalError
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from calibr.core.errors import Unavailable
from calibr.db import ServerUrl
from calibr.http import ApiServices, build_api
from calibr.http.edge import MAX_BODY_BYTES
from calibr.http.server import HttpServer
from calibr.monitor import Metrics

if TYPE_CHECKING:
    from rest import Team

CANARY = "canary-4711"


def crash() -> None:
    raise RuntimeError(CANARY)


def lose_database() -> None:
    raise OperationalError("select 1", {}, Exception(CANARY))


def find_no_database() -> None:
    raise Unavailable("db.unreachable", f"The database does not answer: {CANARY}", retryable=True)


@pytest.fixture(scope="module")
def odd_metrics() -> Metrics:
    return Metrics()


@pytest.fixture(scope="module")
def odd(services: ApiServices, odd_metrics: Metrics) -> Iterator[httpx2.Client]:
    """A client of an application with two more routes that fail in ways that nobody expected."""
    app = build_api(replace(services, metrics=odd_metrics))
    app.add_api_route("/crash/{number}", crash)
    app.add_api_route("/lost", lose_database)
    app.add_api_route("/away", find_no_database)
    with HttpServer(app, host="127.0.0.1", port=0) as server, httpx2.Client(base_url=server.url) as client:
        yield client


def test_a_crash_shows_nothing_of_itself_and_is_logged_with_the_request_id(odd: httpx2.Client) -> None:
    with capture_logs() as logs:
        answer = odd.get("/crash/1", headers={"X-Request-Id": "req-7"})

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "req-7" in answer.json()["detail"]
    assert CANARY not in answer.text
    assert [line["event"] for line in logs] == ["http.request_crashed", "http.request_answered"]
    assert logs[0]["log_level"] == "error"


@pytest.mark.parametrize("path", ["/lost", "/away"])
def test_a_lost_database_is_a_retryable_problem_whose_reason_only_the_log_tells(odd: httpx2.Client, path: str) -> None:
    with capture_logs(processors=[structlog.processors.format_exc_info]) as logs:
        answer = odd.get(path)

    assert CANARY in logs[-1]["exception"]
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (503, "db.unavailable", True)
    assert answer.headers["retry-after"] == "1"
    assert CANARY not in answer.text


def test_a_tenant_whose_events_are_locked_does_not_stop_the_others(
    team: "Team", make_team: "Callable[[], Team]", admin_url: ServerUrl
) -> None:
    other = make_team()

    def add_user(number: int) -> httpx2.Response:
        return team.admin.post("/v1/users", json={"name": f"User {number}", "role": "author"})

    with psycopg.connect(admin_url.conninfo()) as worker, ThreadPoolExecutor(12) as pool:
        tenant_id = str(team.principal.tenant_id)
        worker.execute("select from calibr.tenant_head where tenant_id = %s for update", [tenant_id])
        refused = [answer.json() for answer in pool.map(add_user, range(12))]  # more than there are connections
        asked = other.admin.get("/v1/me")

    assert {(found["status"], found["code"], found["retryable"]) for found in refused} == {(503, "db.busy", True)}
    assert asked.status_code == 200


def test_metrics_count_by_template_and_not_by_path(odd: httpx2.Client, odd_metrics: Metrics) -> None:
    for number in (10, 11):
        odd.get(f"/crash/{number}")
    odd.get("/nowhere/12")

    text = odd_metrics.render().decode()
    assert 'calibr_http_requests_total{method="GET",route="/crash/{number}",status="500"}' in text
    assert 'calibr_http_errors_total{code="internal",method="GET",route="/crash/{number}"}' in text
    assert 'calibr_http_errors_total{code="request.no_such_path",method="GET",route="unmatched"}' in text
    assert "/crash/10" not in text
    assert "nowhere" not in text
    assert "calibr_http_requests_in_flight 0.0" in text


def test_made_up_methods_do_not_make_metrics_grow(odd: httpx2.Client, odd_metrics: Metrics) -> None:
    statuses = {odd.request(f"MADEUP{number}", "/v1/me").status_code for number in range(3)}

    assert statuses == {405}
    assert "MADEUP" not in odd_metrics.render().decode()
    assert 'method="other"' in odd_metrics.render().decode()


@pytest.mark.parametrize("given", ["abc-1.2_3", "x" * 64])
def test_a_harmless_request_id_is_echoed(anonymous: httpx2.Client, given: str) -> None:
    assert anonymous.get("/healthz", headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", 'a"b'])
def test_another_request_id_is_replaced(anonymous: httpx2.Client, given: str) -> None:
    answered = anonymous.get("/healthz", headers={"X-Request-Id": given}).headers["x-request-id"]

    assert answered != given
    assert len(answered) == 36


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/v1/me", "/metrics"])
def test_every_answer_has_the_fixed_headers(anonymous: httpx2.Client, path: str) -> None:
    headers = anonymous.get(path).headers

    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "server" not in headers


def test_a_declared_body_that_is_too_long_is_refused_unread(anonymous: httpx2.Client) -> None:
    answer = anonymous.post("/v1/users", content=b"x" * (MAX_BODY_BYTES + 1))

    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


def test_a_streamed_body_that_grows_too_long_is_refused(team: "Team") -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65_536 + 1):
            yield b" " * 65_536

    answer = team.admin.post("/v1/users", content=chunks())

    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


def test_log_lines_know_who_asked_and_requests_do_not_mix(make_team: "Callable[[], Team]") -> None:
    teams = [make_team(), make_team()]
    calls = [(team, number) for number in range(5) for team in teams]

    with capture_logs([merge_contextvars]) as logs, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda call: call[0].author.post("/v1/users", headers={"X-Request-Id": f"r{call[1]}"}), calls))

    seen = {(line["request_id"], line["tenant_id"]) for line in logs if line["event"] == "http.request_answered"}
    assert seen == {(f"r{number}", str(team.principal.tenant_id)) for team, number in calls}
    assert all(line["actor"].startswith("user:") and line["correlation_id"] for line in logs)


def test_an_address_that_is_taken_is_told(services: ApiServices) -> None:
    with HttpServer(build_api(services), host="127.0.0.1", port=0) as server, pytest.raises(Unavailable) as refused:
        HttpServer(build_api(services), host="127.0.0.1", port=server.port)

    assert f"Cannot listen on 127.0.0.1:{server.port}: Address already in use" in str(refused.value)
