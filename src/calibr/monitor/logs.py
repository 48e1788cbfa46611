"""One log stream on standard error: JSON for machines, columns for a person.

Event names are constants, `noun.verb_past`. Levels: error = a person must act now; warning = heals itself;
info = a state changed; debug = the rest.
"""

import logging
import sys
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from calibr.monitor.redaction import redact

QUIET_LOGGERS = ("uvicorn", "uvicorn.access", "uvicorn.error", "httpx2", "httpcore2", "alembic", "asyncio")
"""What these say at info is said better by our own events."""


def configure_logging(*, console: bool, level: str = "info", stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging through one redacting pipeline. May be called again."""
    target = stream if stream is not None else sys.stderr
    shared = _shared_processors()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last_processors(console=console)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]


def _last_processors(*, console: bool) -> list[Processor]:
    """Tracebacks become text before the redaction sees them; locals are never part of a traceback."""
    if console:
        renderer: Processor = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    else:
        renderer = structlog.processors.JSONRenderer(serializer=_to_json)
    return [structlog.processors.format_exc_info, redact, renderer]


def _to_json(event: EventDict, **_: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
