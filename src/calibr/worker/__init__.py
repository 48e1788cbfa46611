"""Work that outlives a request: syncs, previews, apply runs, housekeeping."""

from calibr.worker.jobs import Jobs, JobSettings
from calibr.worker.loop import Job, JobKind, Worker, Workshop

__all__ = ["Job", "JobKind", "JobSettings", "Jobs", "Worker", "Workshop"]
