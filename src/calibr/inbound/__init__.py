"""What stores send by themselves, and looking after that they do: webhooks, samples, requests about people."""

from calibr.inbound.address import HookAddress
from calibr.inbound.inbox import Inbox
from calibr.inbound.model import HOOK_PATH, Watch, WatchSettings
from calibr.inbound.price_lists import request_price_lists
from calibr.inbound.reads import PrivacyRequest, get_watch, list_requests
from calibr.inbound.receiving import Readers, receive
from calibr.inbound.repository import due_inboxes
from calibr.inbound.watching import Watcher, due_connections

__all__ = [
    "HOOK_PATH",
    "HookAddress",
    "Inbox",
    "PrivacyRequest",
    "Readers",
    "Watch",
    "WatchSettings",
    "Watcher",
    "due_connections",
    "due_inboxes",
    "get_watch",
    "list_requests",
    "receive",
    "request_price_lists",
]
