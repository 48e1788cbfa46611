"""Authorization of connections: their states, the tokens that stores issued, and consents that are under way."""

from calibr.db.migrations.script import run_file

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0004_authorization.sql")
