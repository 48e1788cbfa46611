"""Files of writes that a store works through on its own time."""

from calibr.db.migrations.script import run_file

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0006_bulk_write.sql")
