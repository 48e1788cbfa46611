"""A rehearsal: a price change under kills, stopped workers, a bad store and other people's edits, and judged."""

from calibr.cli.rehearse.copied import Copied, copy_change
from calibr.cli.rehearse.run import rehearse
from calibr.cli.rehearse.wish import Plan

__all__ = ["Copied", "Plan", "copy_change", "rehearse"]
