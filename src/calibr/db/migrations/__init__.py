"""The migrations. Alembic runs them; the statements themselves are SQL files."""
