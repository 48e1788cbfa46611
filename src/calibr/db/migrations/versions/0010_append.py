"""Appending one event in fewer steps."""

from calibr.db.migrations.script import run_file

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0010_append.sql")
