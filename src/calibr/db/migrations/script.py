"""Runs one SQL file inside a migration."""

from pathlib import Path

from alembic import op

_FOLDER = Path(__file__).parent / "sql"


def run_file(name: str) -> None:
    """Run all statements of a file in the migration's transaction."""
    raw = op.get_bind().connection.driver_connection
    if raw is None:
        raise RuntimeError("A migration needs an open connection.")
    raw.execute((_FOLDER / name).read_text(encoding="utf-8"))
