"""Fetching a result file: whole or not at all, and never with the token."""

import logging
from pathlib import Path

import httpx2
import pytest
from scripted_store import Reply, ScriptedStore, SentCall

from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.download import ATTEMPTS, ResultGoneError, download
from calibr.connectors.shopify.errors import CallError

URL = "https://storage.example/result.jsonl?Signature=s3cret"
CONTENT = b'{"id":"gid://shopify/Product/1"}\n' * 1_000


class Breaking(httpx2.SyncByteStream):
    """Bytes, and then a broken connection."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204 - the base class does not say
        yield self._content
        raise httpx2.ReadError("broken")


def whole(_call: SentCall) -> httpx2.Response:
    return httpx2.Response(200, content=CONTENT)


def breaks_after(count: int) -> Reply:
    return lambda _call: httpx2.Response(200, stream=Breaking(CONTENT[:count]))


def resumes(call: SentCall) -> httpx2.Response:
    start = int(call.request.headers["range"].removeprefix("bytes=").removesuffix("-"))
    told = {"content-range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}
    return httpx2.Response(206, content=CONTENT[start:], headers=told)


@pytest.fixture(autouse=True)
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr("calibr.connectors.shopify.download.time.sleep", taken.append)
    return taken


def get(client: ShopifyClient, path: Path, *, url: str = URL, size: int | None = len(CONTENT)) -> list[int]:
    seen: list[int] = []
    download(client, url, path, size, lambda _stage, done, _total: seen.append(done))
    return seen


def test_writes_the_file_and_tells_progress(store: ScriptedStore, client: ShopifyClient, tmp_path: Path) -> None:
    store.on("GET", whole)

    seen = get(client, tmp_path / "f")

    assert (tmp_path / "f").read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)


def test_the_token_stays_with_the_store(store: ScriptedStore, client: ShopifyClient, tmp_path: Path) -> None:
    store.on("GET", whole)

    get(client, tmp_path / "f")

    assert "x-shopify-access-token" not in store.sent("GET")[0].request.headers


def test_the_signed_address_is_not_logged(
    store: ScriptedStore, client: ShopifyClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.on("GET", whole)

    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "httpx2"):
        get(client, tmp_path / "f")

    assert "https://storage.example/result.jsonl" in caplog.text
    assert "s3cret" not in caplog.text


def test_goes_on_where_it_broke(store: ScriptedStore, client: ShopifyClient, tmp_path: Path) -> None:
    store.on("GET", breaks_after(5_000), resumes)

    get(client, tmp_path / "f")

    assert (tmp_path / "f").read_bytes() == CONTENT
    assert store.sent("GET")[1].request.headers["range"] == "bytes=5000-"


def testrests_longer_before_each_further_attempt(
    store: ScriptedStore, client: ShopifyClient, tmp_path: Path, rests: list[float]
) -> None:
    store.on("GET", lambda _call: httpx2.Response(503))

    with pytest.raises(CallError):
        get(client, tmp_path / "f")

    assert rests == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0]


def test_starts_anew_where_the_server_does_not_resume(
    store: ScriptedStore, client: ShopifyClient, tmp_path: Path
) -> None:
    store.on("GET", breaks_after(5_000), whole)

    get(client, tmp_path / "f")

    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_short_file_is_fetched_on_and_refused_if_it_stays_short(
    store: ScriptedStore, client: ShopifyClient, tmp_path: Path
) -> None:
    store.on("GET", lambda _call: httpx2.Response(200, content=CONTENT[:-10]))

    with pytest.raises(CallError, match=f"{len(CONTENT) - 10} bytes instead of {len(CONTENT)}"):
        get(client, tmp_path / "f")

    assert len(store.sent("GET")) == ATTEMPTS
    assert not (tmp_path / "f").exists()


def test_a_long_file_is_refused(store: ScriptedStore, client: ShopifyClient, tmp_path: Path) -> None:
    store.on("GET", lambda _call: httpx2.Response(200, content=CONTENT + b"more"))

    with pytest.raises(CallError, match="longer than"):
        get(client, tmp_path / "f")

    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(("status", "times"), [(403, 1), (404, 1), (302, 1), (503, ATTEMPTS)])
def test_a_refusal_is_told_without_the_signed_address(
    store: ScriptedStore, client: ShopifyClient, tmp_path: Path, status: int, times: int
) -> None:
    store.on("GET", lambda _call: httpx2.Response(status, headers={"location": "https://evil.example"}))

    with pytest.raises(CallError) as caught:
        get(client, tmp_path / "f")

    assert isinstance(caught.value, ResultGoneError) == (status in {403, 404})
    assert str(status) in caught.value.message
    assert "s3cret" not in caught.value.message
    assert len(store.sent("GET")) == times
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    "url",
    ["http://storage.example/x", "file:///etc/passwd", "http://127.0.0.1/x", "https:///x", "//x", "https://[", ""],
)
def test_an_address_that_is_not_https_is_not_fetched(
    store: ScriptedStore, client: ShopifyClient, tmp_path: Path, url: str
) -> None:
    with pytest.raises(CallError):
        get(client, tmp_path / "f", url=url)

    assert store.calls == []


def test_a_size_that_was_not_told_is_not_checked(store: ScriptedStore, client: ShopifyClient, tmp_path: Path) -> None:
    store.on("GET", whole)

    get(client, tmp_path / "f", size=None)

    assert (tmp_path / "f").read_bytes() == CONTENT
