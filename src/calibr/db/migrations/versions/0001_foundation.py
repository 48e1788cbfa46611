"""The foundation: walls, access, events, catalogue, price changes."""

from calibr.db.migrations.script import run_file

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_FILES = ("0001_security.sql", "0001_access.sql", "0001_events.sql", "0001_catalog.sql", "0001_changes.sql")


def upgrade() -> None:
    """Run the files in the order of their references."""
    for name in _FILES:
        run_file(name)
