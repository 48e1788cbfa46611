"""Puts the API together. Nothing happens at import; `app.create_app` calls this with what it has opened."""

import psycopg
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from calibr.core.errors import CalibrError
from calibr.http import openapi, problem
from calibr.http.edge import EdgeMiddleware
from calibr.http.event_stream import Streams
from calibr.http.routes import ROUTERS, TAGS
from calibr.http.services import ApiServices

DESCRIPTION = """A pricing control plane: preview, approve, apply, verify, roll back.

Amounts are integers of minor units of the currency beside them; null is not zero. Lists are keyset pages:
`{"items": [...], "next": cursor or null}`. Errors are RFC 9457 problems with a stable `code`. Every POST takes an
`Idempotency-Key`. Things of another tenant look exactly like things that do not exist.
"""


def build_api(services: ApiServices) -> FastAPI:
    """One application over these services."""
    app = FastAPI(
        title="Calibr",
        version=services.version,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        openapi_tags=TAGS,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.routers = ROUTERS
    app.state.streams = Streams()
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(EdgeMiddleware, metrics=services.metrics)
    app.add_exception_handler(CalibrError, problem.answer_calibr_error)
    app.add_exception_handler(HTTPException, problem.answer_http_error)
    app.add_exception_handler(RequestValidationError, problem.answer_bad_parameters)
    for lost in (OperationalError, PoolTimeout, psycopg.OperationalError):
        app.add_exception_handler(lost, problem.answer_database_error)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    return app
