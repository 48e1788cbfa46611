"""Drift: a price in a store that is not the one that Calibr put in force last, and what people decide about it."""

from calibr.drift.ledger import DriftLedger
from calibr.drift.model import Drift, DriftState, Gone
from calibr.drift.reads import DriftFilter, get_drift, list_drifts
from calibr.drift.service import adopt, reassert

__all__ = [
    "Drift",
    "DriftFilter",
    "DriftLedger",
    "DriftState",
    "Gone",
    "adopt",
    "get_drift",
    "list_drifts",
    "reassert",
]
