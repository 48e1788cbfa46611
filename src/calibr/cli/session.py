"""What a command gets that speaks with the API: where the server is, who asks, and where to write."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from typer import Option

from calibr.cli.client import Client
from calibr.cli.output import Output
from calibr.cli.profile import DEFAULT_URL, load_profile

_PANEL = "Connection to the server"


@dataclass(slots=False)
class Cli(Output):
    """The options of every command that speaks with the API. The token of a profile goes to its own server only."""

    url: Annotated[
        str | None,
        Option(envvar="CALIBR_URL", help=f"Address of the server; {DEFAULT_URL} if left out.", rich_help_panel=_PANEL),
    ] = None
    token: Annotated[
        str | None,
        Option(
            envvar="CALIBR_TOKEN",
            help="Token of the user; better from the environment or `calibr login`, for others can see arguments.",
            rich_help_panel=_PANEL,
        ),
    ] = field(default=None, repr=False)

    def close(self) -> None:
        """Give the connections back, if there are any."""
        if "api" in self.__dict__:
            self.api.close()

    @cached_property
    def api(self) -> Client:
        """The client; it connects with the first request."""
        profile = load_profile() if self.token is None else None
        url = (self.url or (profile.url if profile else DEFAULT_URL)).rstrip("/")
        kept = profile.token if profile is not None and profile.url == url else None
        return Client(url, self.token or kept)
