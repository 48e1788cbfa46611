"""The disk of the database is full: a clear error, nothing acknowledged is gone, and all goes on once there is room."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from calibr.core.errors import CalibrError, Unavailable
from calibr.core.ids import TenantId, new_uuid
from calibr.db import Context, Database, OpenDatabase

KEY = b"test master key, 32 bytes or more"
SIZE_MB = 220
SMALL = {"min_wal_size": "32MB", "max_wal_size": "64MB", "shared_buffers": "32MB"}


@pytest.fixture
def small_disk(test_area: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = test_area / f"small-{new_uuid()}"
    place.mkdir(mode=0o711)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0711", "tmpfs", str(place)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def fill(place: Path) -> Path:
    """Take all the room that is left."""
    filler = place / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(b"x" * (1 << 20))
                file.flush()
        except OSError:
            pass
    return filler


def add(database: Database, context: Context, number: int) -> None:
    """One row of some size."""
    with database.session(context) as session:
        session.execute(
            text("insert into calibr.event_activity(tenant_id, day, type, events) values (:t, '2026-01-01', :type, 1)"),
            {"t": context.tenant_id, "type": f"{number} " + "x" * 1_500},
        )


@pytest.mark.slow
def test_a_full_disk_is_said_and_survived(small_disk: Path) -> None:
    acknowledged, said = 0, set()
    with OpenDatabase.embedded(small_disk / "postgres", KEY, overrides=SMALL) as opened:
        database, context = opened.database, Context(TenantId(new_uuid()), "system:test", new_uuid())
        for _ in range(20):
            add(database, context, acknowledged)
            acknowledged += 1
        filler = fill(small_disk)
        deadline = time.monotonic() + 60
        while "db.disk_full" not in said and time.monotonic() < deadline:
            try:
                add(database, context, acknowledged)
                acknowledged += 1
            except Unavailable as error:
                said.add(error.code)
            except SQLAlchemyError as error:  # the server may even stop for a moment; the guardian starts it anew
                said.add(type(error).__name__)
                time.sleep(0.1)
        trouble = database.trouble()
        filler.unlink()
        before = acknowledged
        while acknowledged == before and time.monotonic() < deadline + 60:
            try:
                add(database, context, acknowledged)
                acknowledged += 1
            except (CalibrError, SQLAlchemyError):
                time.sleep(0.2)

        with database.session(context) as session:
            found = session.execute(text("select count(*) from calibr.event_activity")).scalar_one()
    assert "db.disk_full" in said
    assert trouble == "the disk of the database is full"
    assert acknowledged > before > 0
    assert found == acknowledged
