"""What the API needs from the rest of the program; `app` puts it together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from calibr.connectors.port import ConnectorFactory
from calibr.db import Database
from calibr.delivery import Subscribers
from calibr.inbound import Readers
from calibr.monitor import HealthChecks, Metrics
from calibr.vault import Vault


@dataclass(frozen=True, slots=True)
class ApiServices:
    """One per application."""

    database: Database
    vault: Vault
    connectors: Mapping[str, ConnectorFactory]
    subscribers: Subscribers
    metrics: Metrics
    health: HealthChecks
    wake_worker: Callable[[], None]
    """Called after a change that may have made work; never blocks."""
    version: str
    webhook_readers: Readers = field(default_factory=lambda: MappingProxyType({}))
    public_url: str | None = None
    """Where browsers of other people reach this server; None: where the caller reached it."""


async def _services(request: Request) -> ApiServices:
    services: ApiServices = request.app.state.services
    return services


Services = Annotated[ApiServices, Depends(_services)]
