"""The rate limits of stores, counted by all processes together."""

from calibr.db.migrations.script import run_file

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0010_store_budget.sql")
