"""Where a PostgreSQL server is and who connects to it."""

from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, urlencode

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from calibr.core.errors import Invalid

_DEFAULT_PORT = 5432


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """One login to one database. `host` is a name, an address or the folder of a Unix socket.

    `options` are libpq parameters such as `sslmode`. The password is left out of `repr`.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `postgresql://user:password@host:port/database?sslmode=...` or a libpq key=value string.

        Raises Invalid `db.url` naming the part that is missing; the message never repeats the text, since it holds a
        password.
        """
        try:
            parts = {key: str(value) for key, value in conninfo_to_dict(text).items() if value is not None}
        except ProgrammingError as err:
            raise Invalid("db.url", "The database URL is not one that PostgreSQL understands.") from err
        missing = [name for name in ("host", "user", "dbname") if not parts.get(name)]
        if missing:
            raise Invalid("db.url", f"The database URL lacks: {', '.join(missing)}.")
        port = parts.pop("port", str(_DEFAULT_PORT))
        if not port.isascii() or not port.isdecimal():
            raise Invalid("db.url", "The port of the database URL must be one number.")
        return cls(
            host=parts.pop("host"),
            port=int(port),
            database=parts.pop("dbname"),
            user=parts.pop("user"),
            password=parts.pop("password", ""),
            options=tuple(sorted(parts.items())),
        )

    def login(self, user: str, password: str) -> Self:
        """Return the same database for another login."""
        return replace(self, user=user, password=password)

    def on(self, database: str) -> Self:
        """Return another database of the same server for the same login."""
        return replace(self, database=database)

    def conninfo(self) -> str:
        """Return the libpq connection string, password included: never log it."""
        password = {"password": self.password} if self.password else {}
        return make_conninfo(
            host=self.host, port=self.port, dbname=self.database, user=self.user, **password, **dict(self.options)
        )

    def uri(self) -> str:
        """Return the same as a URI, password included: never log it."""
        query = urlencode({"host": self.host, "port": str(self.port), **dict(self.options)}, quote_via=quote)
        user, password, database = (quote(part, safe="") for part in (self.user, self.password, self.database))
        return f"postgresql://{user}:{password}@/{database}?{query}"

    def __str__(self) -> str:
        """Name the server without the password."""
        return f"{self.user}@{self.host}:{self.port}/{self.database}"
