"""Writing an approved plan to its stores, item by item, so that no crash loses or repeats a write."""

from calibr.changes.apply.run import ConnectorFor, RunHooks, run_apply
from calibr.changes.apply.settings import ApplySettings, backoff_s, require_safe_lease

__all__ = ["ApplySettings", "ConnectorFor", "RunHooks", "backoff_s", "require_safe_lease", "run_apply"]
