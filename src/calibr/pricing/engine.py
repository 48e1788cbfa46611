"""Which implementation computed a plan: its version and that of the Unicode tables, sealed with every plan."""

from typing import Final

from calibr.core.text import unidata_version

ENGINE_VERSION: Final = "1.0.0"
"""Changes whenever the same documents and inputs could give another result or another trace."""


def engine_version() -> str:
    """Return the engine as plans and traces name it."""
    return f"calibr-{ENGINE_VERSION}+unicode-{unidata_version()}"
