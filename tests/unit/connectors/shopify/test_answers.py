"""What each HTTP answer of the Admin API means to us."""

import orjson
import pytest

from calibr.connectors.shopify.answers import LONGEST_RETRY_AFTER_S, read_answer, read_retry_after
from calibr.connectors.shopify.errors import CallError, RefusedError, ThrottledError, TooLargeError

DONE: dict[str, dict[str, list[object]]] = {"productVariantsBulkUpdate": {"userErrors": []}}


def graphql(code: str | None, data: object = None, **extensions: object) -> bytes:
    body: dict[str, object] = {"errors": [{"message": "said so", "extensions": {"code": code}}]}
    if data is not None:
        body["data"] = data
    if extensions:
        body["extensions"] = extensions
    return orjson.dumps(body)


def failure(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> CallError:
    with pytest.raises(CallError) as caught:
        read_answer(status, headers or {}, body)
    return caught.value


def test_complete_data_comes_with_its_cost() -> None:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": 1990, "restoreRate": 100.0}
    cost = {"requestedQueryCost": 12, "actualQueryCost": 10, "throttleStatus": status}

    answer = read_answer(200, {}, orjson.dumps({"data": {"shop": {}}, "extensions": {"cost": cost}}))

    assert answer.data == {"shop": {}}
    assert answer.report is not None
    assert (answer.report.requested, answer.report.actual, answer.report.available) == (12, 10, 1990)
    assert (answer.report.maximum, answer.report.restore_rate) == (2000, 100)


@pytest.mark.parametrize("cost", [None, {}, {"throttleStatus": None}, {"throttleStatus": {"restoreRate": 0}}, "x"])
def test_an_answer_without_a_usable_cost_is_still_an_answer(cost: object) -> None:
    assert read_answer(200, {}, orjson.dumps({"data": {}, "extensions": {"cost": cost}})).report is None


@pytest.mark.parametrize(
    ("status", "code", "retryable", "maybe_executed"),
    [
        (301, "upstream.protocol", False, False),
        (400, "upstream.protocol", False, False),
        (401, "upstream.unauthorized", False, False),
        (402, "upstream.store_frozen", False, False),
        (403, "upstream.unauthorized", False, False),
        (404, "upstream.protocol", False, False),
        (423, "upstream.store_frozen", False, False),
        (429, "upstream.throttled", True, False),
        (204, "upstream.protocol", False, True),
        (500, "upstream.unavailable", True, True),
        (502, "upstream.unavailable", True, True),
        (503, "upstream.unavailable", True, True),
    ],
)
def test_each_status_has_one_meaning(status: int, code: str, *, retryable: bool, maybe_executed: bool) -> None:
    error = failure(status)

    assert (error.code, error.retryable, error.maybe_executed) == (code, retryable, maybe_executed)
    assert str(status) in error.message


@pytest.mark.parametrize(
    ("code", "data", "ours", "maybe_executed"),
    [
        ("THROTTLED", None, "upstream.throttled", False),
        ("MAX_COST_EXCEEDED", None, "upstream.protocol", False),
        ("MAX_INPUT_SIZE_EXCEEDED", None, "upstream.protocol", False),
        ("ACCESS_DENIED", None, "upstream.unauthorized", False),
        ("ACCESS_DENIED", {"productVariantsBulkUpdate": None}, "upstream.unauthorized", False),
        ("ACCESS_DENIED", DONE, "upstream.unauthorized", True),
        ("INVALID_VARIABLE", None, "upstream.protocol", False),
        ("INTERNAL_SERVER_ERROR", None, "upstream.unavailable", True),
        ("THROTTLED", DONE, "upstream.protocol", True),
        ("SOMETHING_NEW", None, "upstream.protocol", True),
        (None, None, "upstream.protocol", True),
    ],
)
def test_each_graphql_code_says_whether_anything_was_done(
    code: str | None, data: object, ours: str, *, maybe_executed: bool
) -> None:
    error = failure(200, graphql(code, data))

    assert (error.code, error.maybe_executed) == (ours, maybe_executed)


def test_throttling_is_known_by_its_code_and_carries_the_bucket() -> None:
    status = {"maximumAvailable": 2000, "currentlyAvailable": 4, "restoreRate": 100}
    cost = {"requestedQueryCost": 60, "actualQueryCost": None, "throttleStatus": status}

    error = failure(200, graphql("THROTTLED", cost=cost))

    assert isinstance(error, ThrottledError)
    assert error.report is not None
    assert (error.report.requested, error.report.actual, error.report.available) == (60, None, 4)


def test_too_much_at_once_may_be_halved_and_nonsense_may_not() -> None:
    assert isinstance(failure(200, graphql("MAX_COST_EXCEEDED")), TooLargeError)
    malformed = failure(200, graphql("INVALID_VARIABLE"))
    assert isinstance(malformed, RefusedError)
    assert not isinstance(malformed, TooLargeError)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"data": 1}', b"{}", b'{"errors": "gone"}'])
def test_anything_else_may_have_been_executed(body: bytes) -> None:
    error = failure(200, body)

    assert error.code == "upstream.protocol"
    assert error.maybe_executed


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2),
        ({"retry-after": "2.0"}, 2),
        ({"retry-after": "0.4"}, 0.4),
        ({"retry-after": "999999"}, LONGEST_RETRY_AFTER_S),
        ({"retry-after": "Tue, 24 Nov 2026 10:00:30 GMT", "date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 30),
        ({"retry-after": "Tue, 24 Nov 2026 09:00:00 GMT", "date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 0),
        ({"retry-after": "Tue, 24 Nov 2026 10:00:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers) == seconds


def test_foreign_text_is_one_short_line() -> None:
    error = failure(403, orjson.dumps({"errors": "a\nb\x1b[31m" + "x" * 5_000}))

    assert "\n" not in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 500
