"""Computing a plan: items, summary and seal. Nothing is written to a store."""

from calibr.changes.preview.quick import quick_summary
from calibr.changes.preview.run import PreviewSettings, run_preview

__all__ = ["PreviewSettings", "quick_summary", "run_preview"]
