"""Identifiers: UUIDv7, so that keys made in order are stored in order."""

import os  # arch: allow pure: the random part of a UUID
import time  # arch: allow pure: the time part of a UUID; no rule ever reads it
from typing import NewType
from uuid import UUID

TenantId = NewType("TenantId", UUID)
UserId = NewType("UserId", UUID)
TokenId = NewType("TokenId", UUID)
ConnectionId = NewType("ConnectionId", UUID)
PriceListId = NewType("PriceListId", UUID)
ProductId = NewType("ProductId", UUID)
SyncId = NewType("SyncId", UUID)
PriceChangeId = NewType("PriceChangeId", UUID)
EventId = NewType("EventId", UUID)


def new_uuid() -> UUID:
    """Return a new UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)
