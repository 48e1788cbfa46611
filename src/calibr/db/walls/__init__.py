"""Inspects a database's catalogue for holes in the walls between tenants. What it does not know is a hole.

For `calibr doctor` and for the tests, which also plant each kind of hole and see that it is found.
"""

import psycopg

from calibr.db.walls import code, relations, rights


def findings(connection: psycopg.Connection) -> list[str]:
    """Return one sentence per hole; none when the walls stand. Any role that can read the catalogue may ask."""
    return [
        str(found)
        for part in (relations, code, rights)
        for check in part.CHECKS
        for (found,) in connection.execute((part.PRELUDE + check).encode())
    ]


__all__ = ["findings"]
