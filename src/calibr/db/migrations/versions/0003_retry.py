"""Price changes that try again what another one could not write."""

from calibr.db.migrations.script import run_file

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0003_retry.sql")
