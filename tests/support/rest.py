"""Fixtures: a running API over this worker's database, and clients that speak real HTTP with it.

Folders that need them import them in their `conftest.py`.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import httpx2
import pytest
import structlog

from calibr import access
from calibr.access import NewToken, Principal, UserRole
from calibr.connectors import shopify
from calibr.connectors.port import Health
from calibr.core.errors import Upstream
from calibr.core.ids import new_uuid
from calibr.db import Context, Database
from calibr.delivery import Subscribers, SubscriptionKind
from calibr.delivery.webhook import AddressPolicy, webhook_kind
from calibr.http import ApiServices, build_api
from calibr.http.server import HttpServer
from calibr.monitor import HealthChecks, Metrics, configure_logging
from calibr.vault import Vault


@pytest.fixture(scope="session")
def log_lines() -> Iterator[io.StringIO]:
    """Everything that is logged, as operators see it."""
    stream = io.StringIO()
    configure_logging(console=False, level="debug", stream=stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def services(database: Database, master_key: bytes, log_lines: io.StringIO) -> ApiServices:
    assert log_lines is not None
    return ApiServices(
        database=database,
        vault=Vault(master_key),
        connectors={shopify.KIND: partial(shopify.create, allow_loopback=True), "throttled": ThrottledStore},
        subscribers=Subscribers(
            Vault(master_key), {SubscriptionKind.WEBHOOK: webhook_kind(AddressPolicy(allow_loopback=True), 2.0)}
        ),
        metrics=Metrics(),
        health=HealthChecks({"database": database.ping}),
        wake_worker=lambda: None,
        version="0.0.0-test",
        webhook_readers={shopify.KIND: shopify.ShopifyWebhooks()},
        public_url="https://calibr.example.com",
    )


@pytest.fixture(scope="session")
def api_url(services: ApiServices) -> Iterator[str]:
    with HttpServer(build_api(services), host="127.0.0.1", port=0) as server:
        yield server.url


@pytest.fixture(scope="session")
def anonymous(api_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=api_url, timeout=30) as client:
        yield client


class ThrottledStore:
    """A connector to a store that lets nobody in at the moment."""

    def __init__(self, config: Mapping[str, object], secrets: Mapping[str, str]) -> None:
        self.settings = (config, secrets)

    def check(self) -> Health:
        raise Upstream("upstream.throttled", "The store throttles us: try again in 4 s.", retryable=True)

    def close(self) -> None:
        self.settings = ({}, {})


@dataclass(frozen=True)
class Team:
    """A tenant with a client for each role."""

    admin: httpx2.Client
    author: httpx2.Client
    approver: httpx2.Client
    viewer: httpx2.Client
    principal: Principal


@pytest.fixture(scope="session")
def make_team(database: Database, api_url: str) -> Iterator[Callable[[], Team]]:
    """Makes a fresh tenant and one client for each role in it."""
    opened: list[httpx2.Client] = []

    def client(token: str) -> httpx2.Client:
        opened.append(httpx2.Client(base_url=api_url, headers={"Authorization": f"Bearer {token}"}, timeout=30))
        return opened[-1]

    def make() -> Team:
        made = access.create_tenant(database, name="Shoes Ltd", admin_name="Root")
        admin = access.authenticate(database, made.token.reveal())
        tokens = {}
        with database.session(Context(made.tenant_id, admin.actor, new_uuid())) as session:
            for role in (UserRole.AUTHOR, UserRole.APPROVER, UserRole.VIEWER):
                user = access.create_user(session, name=f"The {role}", role=role)
                tokens[role] = access.mint_token(session, admin, NewToken("test", user_id=user.id)).text.reveal()
        return Team(
            admin=client(made.token.reveal()),
            author=client(tokens[UserRole.AUTHOR]),
            approver=client(tokens[UserRole.APPROVER]),
            viewer=client(tokens[UserRole.VIEWER]),
            principal=admin,
        )

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def team(make_team: Callable[[], Team]) -> Team:
    return make_team()
