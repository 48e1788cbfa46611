"""Fetches the result file of a bulk operation: streamed to disk, resumed after a break, checked against its size.

The address is signed, so it is a secret for as long as it lives: it stands in no message.
"""

import re
import time
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

import httpx2

from calibr.connectors.port import Progress
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.config import is_loopback
from calibr.connectors.shopify.errors import PROTOCOL, UNAVAILABLE, UNREACHABLE, CallError

ATTEMPTS: Final = 8
FIRST_REST_S: Final = 0.25
LONGEST_REST_S: Final = 15.0
STAGE: Final = "catalog download"
_OK, _PARTIAL, _RANGE_REFUSED = 200, 206, 416
_GONE: Final = frozenset({403, 404, 410})
"""What a signed address answers when its time is over."""


class ResultGoneError(CallError):
    """The address is good no more."""


def download(client: ShopifyClient, url: str, path: Path, size: int | None, progress: Progress) -> None:
    """Write the file at `url` to `path`. Raises `CallError` and leaves no file if it cannot be had whole.

    A break is tried again after a rest that doubles; an address whose time is over is `ResultGoneError` at once.
    """
    require_address(client, url)
    try:
        with path.open("wb") as file:
            _fetch_whole(client, url, file, size, progress)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _fetch_whole(client: ShopifyClient, url: str, file: IO[bytes], size: int | None, progress: Progress) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch(client, url, file, size, progress)
        except CallError as err:
            if not err.retryable or attempt == ATTEMPTS:
                raise
        else:
            if size is None or file.tell() == size:
                return
        if attempt < ATTEMPTS:
            time.sleep(min(FIRST_REST_S * 2 ** (attempt - 1), LONGEST_REST_S))
    raise CallError(PROTOCOL, f"The result file has {file.tell()} bytes instead of {size}.", retryable=True)


def _fetch(client: ShopifyClient, url: str, file: IO[bytes], size: int | None, progress: Progress) -> None:
    """Fetch what is missing. Bytes that arrived before a break are kept."""
    have = file.tell()
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.download(url, headers) as response:
        if not _continues(response, have):
            file.seek(0)
            file.truncate()
        if response.status_code not in {_OK, _PARTIAL}:
            raise _refused(response.status_code)
        for chunk in response.iter_bytes():
            file.write(chunk)
            if size is not None and file.tell() > size:
                raise CallError(PROTOCOL, f"The result file is longer than the {size} bytes that were announced.")
            progress(STAGE, file.tell(), size)


def _continues(response: httpx2.Response, have: int) -> bool:
    told = re.match(r"bytes ([0-9]+)-", response.headers.get("content-range", ""))
    return response.status_code == _PARTIAL and told is not None and int(told[1]) == have


def _refused(status: int) -> CallError:
    if status in _GONE:
        return ResultGoneError(UNAVAILABLE, f"The address of the result file has expired (HTTP {status}).")
    # A refused range means that our part does not fit the file: the next attempt starts anew.
    may_pass = status >= 500 or status in {_RANGE_REFUSED, 429}  # noqa: PLR2004 - server errors
    return CallError(UNAVAILABLE, f"The result file cannot be fetched (HTTP {status}).", retryable=may_pass)


def require_address(client: ShopifyClient, url: str) -> None:
    """Accept https, or plain http on this machine for a sandbox store: an answer must not send us elsewhere."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as err:
        raise CallError(PROTOCOL, "The address of a file is malformed.") from err
    is_sandbox = client.config.is_loopback and parts.scheme == "http" and is_loopback(host)
    if not (is_sandbox or (parts.scheme == "https" and host and not client.config.is_loopback)):
        raise CallError(UNREACHABLE, f"The store names an address for a file that is not accepted ({parts.scheme}).")
