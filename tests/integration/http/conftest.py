"""The running API, for the tests below this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from rest import anonymous, api_url, log_lines, make_team, services, team

__all__ = ["anonymous", "api_url", "log_lines", "make_team", "services", "team"]
