import io
import json
import logging
import pickle
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from calibr.monitor import Secret, configure_logging, redact, scrub

TOKEN = "clbr_live_" + "a" * 22 + "_" + "b" * 22 + "_" + "C" * 49
CANARY = "canary-4711"


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def test_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(CANARY)

    assert CANARY not in f"{secret} {secret!r} {secret!s} {[secret]}"
    assert secret.reveal() == CANARY


def test_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(CANARY))


@pytest.mark.parametrize(
    "key",
    ["token", "Authorization", "access_token", "X-Shopify-Access-Token", "client_secret", "secrets", "db_password"],
)
def test_values_under_secret_names_are_removed_at_any_depth(key: str) -> None:
    event = redact(None, "info", {"event": "x", "config": {"list": [{key: {"deep": CANARY}}]}, key: CANARY})

    assert CANARY not in json.dumps(event)


@pytest.mark.parametrize("key", ["token_id", "token_name", "tokenized", "idempotency_key", "key_id"])
def test_names_that_only_sound_secret_are_kept(key: str) -> None:
    assert redact(None, "info", {key: "plain"})[key] == "plain"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"refused {TOKEN}.", "refused ***."),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("postgresql://joe:pass@host/db", "postgresql://***@host/db"),
        ("sent shpat_0123456789abcdef to it", "sent *** to it"),
        ("nothing to hide: a@b:c", "nothing to hide: a@b:c"),
    ],
)
def test_texts_of_secret_shape_are_removed(text: str, left: str) -> None:
    assert scrub(text) == left


@given(st.recursive(st.just(TOKEN), lambda c: st.lists(c) | st.dictionaries(st.text(), c) | st.tuples(c, c)))
def test_a_token_never_survives_whatever_it_is_wrapped_in(value: object) -> None:
    assert TOKEN not in json.dumps(redact(None, "info", {"facts": value}), ensure_ascii=False)


def test_secret_types_of_others_stay_hidden() -> None:
    event = redact(None, "info", {"a": SecretStr(CANARY), "b": Secret(CANARY), "c": CANARY.encode()})

    assert CANARY not in json.dumps(event)


@pytest.mark.parametrize("console", [True, False])
def test_no_log_line_shows_a_secret(*, console: bool) -> None:
    stream = io.StringIO()
    configure_logging(console=console, level="debug", stream=stream)
    log = structlog.get_logger()

    log.info("token.minted", token=TOKEN, note=f"the text is {TOKEN}")
    logging.getLogger("library").warning("header was %s", f"Bearer {TOKEN}")
    try:
        int(TOKEN)
    except ValueError:
        log.exception("token.refused")

    written = stream.getvalue()
    assert TOKEN not in written
    assert written.count("***") >= 4
    assert "ValueError" in written


def test_json_lines_carry_what_was_bound_at_the_edge() -> None:
    stream = io.StringIO()
    configure_logging(console=False, stream=stream)

    with structlog.contextvars.bound_contextvars(request_id="r-1", tenant_id="t-1"):
        structlog.get_logger().info("price_change.submitted", change_id="c-1")

    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    line.pop("logger")
    assert line == {
        "event": "price_change.submitted", "level": "info", "request_id": "r-1", "tenant_id": "t-1", "change_id": "c-1",
    }  # fmt: skip


def test_level_leaves_the_rest_out() -> None:
    stream = io.StringIO()
    configure_logging(console=False, level="warning", stream=stream)

    structlog.get_logger().info("sync.completed")
    structlog.get_logger().warning("sync.delayed")

    assert "completed" not in stream.getvalue()
    assert "delayed" in stream.getvalue()
