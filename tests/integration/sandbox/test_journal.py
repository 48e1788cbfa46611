"""The journal: evidence of every accepted write, by whom, over which values, that nobody can change."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from calibr_sandbox.cli import run
from calibr_sandbox.config import DEFAULT_TOKEN
from calibr_sandbox.testing import StartedSandbox

FIRST, SECOND = 45_100_000_000_001, 45_100_000_000_002
UPDATE = """mutation($rows: [ProductVariantsBulkInput!]!) { productVariantsBulkUpdate(
  productId: "gid://shopify/Product/8100000000001", variants: $rows) { userErrors { message } } }"""


def _write(sandbox: StartedSandbox, *rows: dict[str, object], headers: dict[str, str] | None = None) -> None:
    sent = [{**row, "id": f"gid://shopify/ProductVariant/{row['id']}"} for row in rows]
    answer = httpx2.post(
        f"{sandbox.url}/admin/api/2026-10/graphql.json",
        json={"query": UPDATE, "variables": {"rows": sent}},
        headers={"X-Shopify-Access-Token": DEFAULT_TOKEN} | (headers or {}),
        trust_env=False,
    )
    assert answer.json()["data"]["productVariantsBulkUpdate"]["userErrors"] == []


def _journal(sandbox: StartedSandbox, query: str = "") -> list[dict[str, object]]:
    found: list[dict[str, object]] = sandbox.client.request("GET", f"/sandbox/journal{query}").body["writes"]
    return found


def test_a_remote_write_is_told_with_its_caller_and_both_values(sandbox: StartedSandbox) -> None:
    named = {"User-Agent": "pricer/2", "X-Request-Id": "r-17", "Calibr-Writer": "worker 3"}
    _write(sandbox, {"id": SECOND, "price": "5.00", "compareAtPrice": None}, headers=named)

    (entry,) = _journal(sandbox)

    assert (entry["source"], entry["call"], entry["variant_id"]) == ("api", 1, SECOND)
    assert str(entry["who"]).startswith("api ")
    assert str(entry["who"]).endswith(" pricer/2")
    assert DEFAULT_TOKEN not in str(entry["who"])
    assert (entry["request_id"], entry["writer"]) == ("r-17", "worker 3")
    assert (entry["price_before"], entry["price"]) == ("11.00", "5.00")
    assert (entry["compare_at_price_before"], entry["compare_at_price"]) == ("15.00", None)
    assert abs(int(str(entry["at_ms"])) / 1000 - time.time()) < 60


def test_an_edit_by_hand_is_told_with_the_name_that_was_given(sandbox: StartedSandbox) -> None:
    sandbox.client.request("POST", f"/sandbox/variants/{FIRST}", {"price": "6", "who": "Mia"})
    sandbox.client.request("POST", f"/sandbox/variants/{FIRST}", {"price": "7"})
    edits = [{"id": str(FIRST), "price": "8"}, {"id": SECOND, "price": "8"}]
    assert sandbox.client.request("POST", "/sandbox/edits", {"edits": edits, "who": "app"}).body == {"edited": 2}

    told = [(e["call"], e["source"], e["who"], e["price_before"], e["price"]) for e in _journal(sandbox)]

    assert told == [
        (1, "hand", "Mia", "10.00", "6.00"),
        (2, "hand", "hand", "6.00", "7.00"),
        (3, "hand", "app", "7.00", "8.00"),
        (3, "hand", "app", "11.00", "8.00"),
    ]


def test_edits_of_one_variant_in_one_request_build_on_each_other(sandbox: StartedSandbox) -> None:
    edits = [{"id": FIRST, "price": "6"}, {"id": FIRST, "compareAtPrice": "9"}, {"id": FIRST, "price": "6.00"}]
    sandbox.client.request("POST", "/sandbox/edits", {"edits": edits})

    entries = _journal(sandbox)

    stored = sandbox.client.request("GET", f"/sandbox/variants/{FIRST}").body
    assert (stored["price"], stored["compare_at_price"]) == ("6.00", "9.00")
    assert [entry["price_before"] for entry in entries] == ["10.00", "6.00", "6.00"]
    assert [entry["effective"] for entry in entries] == [1, 1, 0]


def test_a_write_that_changes_nothing_or_only_the_sku_says_so(sandbox: StartedSandbox) -> None:
    _write(sandbox, {"id": FIRST, "price": "10.00"})
    _write(sandbox, {"id": FIRST, "inventoryItem": {"sku": "NEW"}})
    _write(sandbox, {"id": FIRST, "inventoryItem": {"sku": "NEW"}})

    assert [entry["effective"] for entry in _journal(sandbox)] == [0, 1, 0]


def test_refused_edits_leave_no_trace_at_all(sandbox: StartedSandbox) -> None:
    edits = [{"id": FIRST, "price": "6"}, {"id": SECOND, "price": "-1"}]

    assert sandbox.client.request("POST", "/sandbox/edits", {"edits": edits}).status == 400

    assert _journal(sandbox) == []
    assert sandbox.client.request("GET", f"/sandbox/variants/{FIRST}").body["price"] == "10.00"


def test_pages_follow_each_other(sandbox: StartedSandbox) -> None:
    for number in range(5):
        sandbox.client.request("POST", f"/sandbox/variants/{FIRST}", {"price": str(number)})

    assert [entry["seq"] for entry in _journal(sandbox, "?after=1&limit=2")] == [2, 3]
    assert [entry["seq"] for entry in _journal(sandbox, "?after=3")] == [4, 5]


@pytest.mark.parametrize("statement", ["DELETE FROM journal", "UPDATE journal SET price = '1'"])
def test_the_journal_can_only_be_added_to(sandbox: StartedSandbox, statement: str) -> None:
    _write(sandbox, {"id": FIRST, "price": "5.00"})

    with closing(sqlite3.connect(sandbox.shop.config.db)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)


def test_the_command_line_tells_the_same_from_the_file_of_a_running_server(
    sandbox: StartedSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(sandbox, {"id": FIRST, "price": "5.00"}, {"id": SECOND, "price": "6.00"})

    assert run(["journal", "--db", str(sandbox.shop.config.db)]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert run(["journal", "--db", str(sandbox.shop.config.db), "--after", "1"]) == 0

    assert told == _journal(sandbox)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_file_of_an_earlier_version_is_told_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE journal (seq INTEGER PRIMARY KEY, call INTEGER, source TEXT, at INTEGER, variant_id INTEGER,"
            " price TEXT, compare_at_price TEXT, cost TEXT);"
            "INSERT INTO journal VALUES (1, 1, 'api', 9, 7, '1', '', '')"
        )

    assert run(["journal", "--db", str(path)]) == 0

    entry = json.loads(capsys.readouterr().out)
    assert (entry["variant_id"], entry["price"], entry["price_before"], entry["who"]) == (7, "1", None, None)


@pytest.mark.parametrize(
    ("name", "message"), [("absent.db", "there is no such file"), ("empty.db", "holds no journal")]
)
def test_a_file_without_a_journal_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    (tmp_path / "empty.db").touch()

    assert run(["journal", "--db", str(tmp_path / name)]) == 2

    assert message in capsys.readouterr().err
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_a_reader_that_has_enough_ends_the_output_quietly(sandbox: StartedSandbox) -> None:
    edits = [{"id": FIRST, "price": str(number)} for number in range(3_000)]
    sandbox.client.request("POST", "/sandbox/edits", {"edits": edits})
    command = [sys.executable, "-m", "calibr_sandbox", "journal", "--db", str(sandbox.shop.config.db)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=20) == 0

    assert said == b""
