"""The command line. It speaks REST like any client; only the commands that run this host's own server do not."""

from calibr.cli.entry import run

__all__ = ["run"]
