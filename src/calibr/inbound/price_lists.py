"""Reads price lists and markets: stores send no webhooks about them, so that they are asked for again and again."""

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import structlog

from calibr import catalog
from calibr.connectors.port import Connector, Progress
from calibr.connectors.port.price_lists import HasPriceLists
from calibr.core.errors import Upstream
from calibr.core.ids import ConnectionId
from calibr.db import Session
from calibr.events import Event, emit
from calibr.inbound.repository import update_watch

log = structlog.stdlib.get_logger("calibr.inbound")

OpenSession = Callable[[], AbstractContextManager[Session]]


def request_price_lists(session: Session, connection_id: ConnectionId) -> None:
    """Ask for the price lists of a store to be read now. Emits `price_lists.requested`; repeatable.

    Raises NotFound, and Conflict `connection.<state>` where the store cannot be read.
    """
    catalog.require_usable(catalog.get_connection(session, connection_id))
    update_watch(session, connection_id, {"price_lists_next_at": session.now})
    payload = {"connection_id": str(connection_id)}
    emit(session, Event("price_lists.requested", "connection", str(connection_id), {**payload}))


def read_price_lists(
    session: OpenSession, connection_id: ConnectionId, connector: Connector, work_dir: Path | None, progress: Progress
) -> str | None:
    """Read the lists beside the base prices and take them in; returns why that failed, or None.

    Nothing is done for stores that have no such lists. Files go to a folder in `work_dir` that is gone afterwards.
    """
    if not isinstance(connector, HasPriceLists):
        return None
    with session() as before:
        read_from = before.now
    if work_dir is not None:
        work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="lists-", dir=work_dir) as folder:
            reading = connector.read_price_lists(Path(folder), progress)
            try:
                with session() as taking_in:
                    read = catalog.record_price_lists(taking_in, connection_id, reading, read_from)
            finally:
                reading.close()
    except Upstream as error:
        log.warning("watch.price_lists_unread", connection_id=str(connection_id), code=error.code)
        return error.message
    log.info("watch.price_lists_read", connection_id=str(connection_id), lists=read.price_lists, prices=read.prices)
    return None
