"""Price lists beside the base prices, and the markets that they are for."""

from calibr.db.migrations.script import run_file

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the file of this migration."""
    run_file("0008_price_lists.sql")
