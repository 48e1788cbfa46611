"""Names of API versions, and which one answers.

The sandbox speaks one version of the schema, in which prices have not changed since the oldest that it accepts.
"""

import re
from typing import Final

OLDEST_VERSION: Final = "2026-01"
NEWEST_VERSION: Final = "2027-01"
"""The release candidate; of later ones Shopify knows nothing yet."""

_QUARTERLY: Final = re.compile(r"[0-9]{4}-(01|04|07|10)")


def is_version(name: str) -> bool:
    """Whether a name is that of a version that the sandbox may serve."""
    return bool(_QUARTERLY.fullmatch(name)) and name <= NEWEST_VERSION


def served_version(asked: str, oldest: str) -> str | None:
    """The version that answers: the one asked for, or the oldest if that has left the support; None if it never was."""
    if asked == "unstable":
        return asked
    return max(asked, oldest) if is_version(asked) else None
