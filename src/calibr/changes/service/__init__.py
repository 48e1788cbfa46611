"""What people can do with a price change. Each command is one transaction with its event."""

from calibr.changes.service.control import abort, pause, resume, start_apply
from calibr.changes.service.draft import create, edit, request_preview
from calibr.changes.service.reassert import create_reassertion
from calibr.changes.service.release import create_release
from calibr.changes.service.review import approve, cancel, expire_plans, reject, submit
from calibr.changes.service.rollback import create_retry, create_rollback

__all__ = [
    "abort",
    "approve",
    "cancel",
    "create",
    "create_reassertion",
    "create_release",
    "create_retry",
    "create_rollback",
    "edit",
    "expire_plans",
    "pause",
    "reject",
    "request_preview",
    "resume",
    "start_apply",
    "submit",
]
