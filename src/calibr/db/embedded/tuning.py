"""The settings of the embedded server: bulk loads and set-based previews, beside the application on one machine."""

import os
import shutil
from pathlib import Path

_MIB = 1 << 20
_GIB = 1 << 30
_SHARED_BUFFERS_CAP = 2 * _GIB
_ROOMY_SHM = 1 * _GIB
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_SHM = Path("/dev/shm")  # noqa: S108 - only its size is read


def server_settings(overrides: dict[str, str]) -> dict[str, str]:
    """Return the settings for this machine; `overrides` win."""
    memory = _memory_bytes()
    processors = os.cpu_count() or 1
    return {
        "listen_addresses": "127.0.0.1",
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "shared_buffers": _size(min(memory // 4, _SHARED_BUFFERS_CAP)),
        "effective_cache_size": _size(memory // 2),
        "work_mem": _size(min(max(memory // 128, 16 * _MIB), 128 * _MIB)),
        "maintenance_work_mem": _size(min(max(memory // 16, 64 * _MIB), _GIB)),
        "dynamic_shared_memory_type": _dynamic_memory_type(),
        "synchronous_commit": "on",
        "wal_compression": "pglz",
        "wal_buffers": "64MB",
        "min_wal_size": "1GB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        "jit": "off",
        "max_worker_processes": str(max(8, 2 * processors)),
        "max_parallel_workers": str(processors),
        "max_parallel_workers_per_gather": str(min(4, processors)),
        "max_parallel_maintenance_workers": str(min(4, processors)),
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_checkpoints": "off",
        **overrides,
    }


def as_configuration(settings: dict[str, str]) -> str:
    """Return the settings as text of a PostgreSQL configuration file."""
    lines = ["# Written by Calibr at each start. Own settings belong at the end of postgresql.conf, where they win."]
    for name, value in settings.items():
        quoted = value.replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    return "\n".join(lines) + "\n"


def _size(count: int) -> str:
    return f"{max(1, count // _MIB)}MB"


def _memory_bytes() -> int:
    """Return the memory that we may use: of the machine, or of the container when that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return physical
    return min(physical, int(limit)) if limit.isdecimal() else physical


def _dynamic_memory_type() -> str:
    """Parallel hash joins put their tables into /dev/shm, which many containers limit to 64 MB: use files there."""
    roomy = _SHM.is_dir() and shutil.disk_usage(_SHM).total >= _ROOMY_SHM
    return "posix" if roomy or not _SHM.is_dir() else "mmap"
