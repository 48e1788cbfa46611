"""The check of the tenant context in fewer steps."""

from calibr.db.migrations.script import run_file

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0009_tenant.sql")
