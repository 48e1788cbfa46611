"""The rate limits of stores, counted by all processes together."""

from calibr.db.migrations.script import run_file

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0011_store_budget.sql")
