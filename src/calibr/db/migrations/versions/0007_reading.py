"""What a sync reads, and what it is at the store."""

from calibr.db.migrations.script import run_file

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0007_reading.sql")
