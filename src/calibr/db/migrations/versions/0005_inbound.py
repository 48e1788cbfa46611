"""Webhooks that come in, what is watched at a store, drift, and price changes that restore what was applied."""

from calibr.db.migrations.script import run_file

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0005_inbound.sql")
