"""Files that clients upload for bulk mutations: the targets that were given out, and what arrived at them."""

import base64
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from calibr_sandbox.store import Store

BUCKET: Final = "shopify-staged-uploads"
MAX_UPLOAD_BYTES: Final = 104_857_600
PUT_SECONDS: Final = 604_800
_POST_LIFETIME: Final = timedelta(hours=24)
_CREDENTIAL: Final = "merchant-assets@shopify-tiers.iam.gserviceaccount.com"


class Staged(NamedTuple):
    """A target: its key, the secret in its signature, and the file that arrived, if one did."""

    key: str
    secret: str
    method: str
    mime_type: str
    expires_at: int
    file: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class NewTarget:
    """What a target is asked for."""

    folder: str
    filename: str
    mime_type: str
    method: str


class StagedUploads:
    """The staged files of one shop: rows in its store, bytes in a folder beside it."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        """Use the folder beside the shop's file; what an earlier process had not received whole is removed."""
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self.folder = store.path.with_name(store.path.name + ".staged")
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.glob("*.part"):
            left.unlink()

    def create(self, shop_id: int, target: NewTarget) -> Staged:
        """Give out a target."""
        key = f"tmp/{shop_id}/{target.folder}/{uuid.uuid4()}/{target.filename}"
        lifetime = _POST_LIFETIME.total_seconds() if target.method == "POST" else PUT_SECONDS
        row = Staged(
            key, secrets.token_hex(128), target.method, target.mime_type, int(self._now() + lifetime), None, None
        )
        with self._store.transaction() as connection:
            connection.execute("INSERT INTO staged_upload VALUES (?,?,?,?,?,?,?)", row)
        return row

    def find(self, key: str) -> Staged | None:
        """Return the target with this key, or None."""
        row = self._store.fetch_one("SELECT * FROM staged_upload WHERE key = ?", (key,))
        return Staged._make(row) if row else None

    def has_expired(self, staged: Staged) -> bool:
        """Whether a target takes no file anymore."""
        return staged.expires_at < self._now()

    def new_file(self) -> Path:
        """Return the path of a file to receive into; `keep` or the caller decides what becomes of it."""
        return self.folder / f"{secrets.token_hex(16)}.part"

    def keep(self, key: str, received: Path) -> None:
        """Make a received file the content of a target; an earlier one is replaced."""
        kept = received.with_suffix(".jsonl")
        with self._lock:
            before = self.find(key)
            size = received.stat().st_size
            received.rename(kept)
            with self._store.transaction() as connection:
                connection.execute("UPDATE staged_upload SET file = ?, size = ? WHERE key = ?", (kept.name, size, key))
        if before is not None and before.file is not None:
            (self.folder / before.file).unlink(missing_ok=True)

    def put(self, key: str, content: bytes) -> None:
        """Place a file under a key of the caller's choice, as if it had been staged and uploaded."""
        row = (key, secrets.token_hex(128), "PUT", "text/jsonl", int(self._now() + PUT_SECONDS), None, None)
        with self._store.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO staged_upload VALUES (?,?,?,?,?,?,?)", row)
        path = self.new_file()
        path.write_bytes(content)
        self.keep(key, path)

    def path_of(self, staged: Staged) -> Path | None:
        """Return where the uploaded file is, or None when none arrived."""
        return None if staged.file is None else self.folder / staged.file


def form_fields(staged: Staged) -> list[tuple[str, str]]:
    """List the fields of a POST in the order in which they are to be sent, before the file."""
    expires = datetime.fromtimestamp(staged.expires_at, UTC)
    issued = expires - _POST_LIFETIME
    signed = [
        ("x-goog-date", f"{issued:%Y%m%dT%H%M%SZ}"),
        ("x-goog-credential", f"{_CREDENTIAL}/{issued:%Y%m%d}/auto/storage/goog4_request"),
        ("x-goog-algorithm", "GOOG4-RSA-SHA256"),
    ]
    plain = [("Content-Type", staged.mime_type), ("success_action_status", "201"), ("acl", "private")]
    policy = _policy([*plain, ("key", staged.key), *signed], f"{expires:%Y-%m-%dT%H:%M:%SZ}")
    return [*plain, ("key", staged.key), *signed, ("x-goog-signature", staged.secret), ("policy", policy)]


def _policy(fields: Iterable[tuple[str, str]], expiration: str) -> str:
    conditions: list[object] = []
    for name, value in fields:
        if name == "key":
            conditions += [["content-length-range", 1, MAX_UPLOAD_BYTES], {"bucket": BUCKET}]
        conditions.append({name: value})
    return base64.b64encode(orjson.dumps({"conditions": conditions, "expiration": expiration})).decode()
