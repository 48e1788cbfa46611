"""Recomputes normal forms that another version of Unicode made, so that stored texts and literals stay comparable."""

from calibr.catalog.repository_syncs import lock_catalog, update_connection
from calibr.catalog.repository_texts import StoredTexts, list_texts, rename_lists, replace_texts
from calibr.connectors.port.odd_values import treat_attributes, treat_tags, treat_text
from calibr.core.ids import ConnectionId, ProductId
from calibr.core.text import normalize, unidata_version
from calibr.db import Context, Database, Role, Session

_BATCH = 5_000


def renormalize(database: Database, context: Context, connection_id: ConnectionId) -> bool:
    """Recompute the texts of a connection if the running Python has other Unicode tables; True if it had to.

    A connection that was never read is left alone. Idempotent; only rows that change are written.
    """
    with database.session(context, role=Role.WORKER) as session:
        known = lock_catalog(session, connection_id)["unidata_version"]
        if known in {None, unidata_version()}:
            return False
        renormalize_texts(session, connection_id)
        update_connection(session, connection_id, {"unidata_version": unidata_version()})
        return True


def renormalize_texts(session: Session, connection_id: ConnectionId) -> int:
    """Recompute all normal forms of a connection from the texts as the store gave them.

    Returns how many products changed.
    """
    rename_lists(session, connection_id, lambda name: normalize(name) or name)
    after: ProductId | None = None
    changed = 0
    while batch := list_texts(session, connection_id, after=after, limit=_BATCH):
        after = batch[-1].product_id
        changed += replace_texts(session, {stored.product_id: _normal_forms(stored) for stored in batch})
    return changed


def _normal_forms(stored: StoredTexts) -> dict[str, str | None]:
    """The normal forms by column, as PostgreSQL reads them."""
    texts = {name: None if text is None else treat_text(text).normal for name, text in stored.texts.items()}
    return {**texts, "tags": treat_tags(stored.tags).normal, "attributes": treat_attributes(stored.attributes).normal}
