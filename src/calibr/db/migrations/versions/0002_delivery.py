"""Ordered delivery of events: subscriptions, lanes, dead letters, inbox."""

from calibr.db.migrations.script import run_file

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0002_delivery.sql")
