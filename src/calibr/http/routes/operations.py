"""Public routes for whoever runs Calibr: liveness, readiness, metrics, the OpenAPI document."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from calibr.http.answer import Answer
from calibr.http.services import Services
from calibr.monitor import CheckResult

router = APIRouter(tags=["operations"])


@dataclass(frozen=True, slots=True)
class Liveness:
    """The process answers."""

    status: Literal["ok"]
    version: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this process can do its work, check by check."""

    status: Literal["ready", "not_ready"]
    checks: list[CheckResult]


@router.get(
    "/healthz", summary="Is the process alive?", operation_id="get_liveness", responses={200: {"model": Liveness}}
)
def get_liveness(services: Services) -> Response:
    """Answers as long as the process runs; it looks at nothing else."""
    return Answer(Liveness("ok", services.version)).response()


@router.get(
    "/readyz",
    summary="Can it do its work?",
    operation_id="get_readiness",
    responses={200: {"model": Readiness}, 503: {"model": Readiness, "description": "At least one check failed."}},
)
def get_readiness(services: Services) -> Response:
    """Looks at the database, its migrations and the worker. 503 until all of them are well."""
    checks = services.health.run()
    ready = all(check.ok for check in checks)
    return Answer(Readiness("ready" if ready else "not_ready", checks), 200 if ready else 503).response()


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    operation_id="get_metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_metrics(services: Services) -> Response:
    """Requests, latencies and jobs of this process. No tenant and no id is in it."""
    return Response(services.metrics.render(), media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/openapi.json",
    summary="This document",
    operation_id="get_openapi",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
def get_openapi(request: Request) -> Response:
    """The OpenAPI 3.1 description of all operations."""
    return Answer(request.app.openapi()).response()
