"""The embedded server comes back by itself when its process is killed."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from calibr.core.errors import CalibrError
from calibr.core.ids import TenantId, new_uuid
from calibr.db import Context, OpenDatabase

KEY = b"test master key, 32 bytes or more"


@pytest.mark.slow
def test_a_killed_server_comes_back_with_everything_that_was_committed(server_area: Path) -> None:
    with OpenDatabase.embedded(server_area, KEY) as opened:
        assert opened.server is not None
        context = Context(TenantId(new_uuid()), "system:test", new_uuid())
        with opened.database.session(context) as session:
            session.execute(
                text("insert into calibr.tenant(tenant_id, name) values (:t, 'T')"), {"t": context.tenant_id}
            )
        first = opened.server.pid
        os.kill(first, signal.SIGKILL)

        deadline, found = time.monotonic() + 60, None
        # For a moment its orphaned backends may still answer.
        while (found is None or opened.server.pid == first) and time.monotonic() < deadline:
            with suppress(SQLAlchemyError, CalibrError), opened.database.session(context) as session:
                found = session.execute(text("select name from calibr.tenant")).scalar_one()
            time.sleep(0.05)

        assert found == "T"
        assert opened.server.pid != first
