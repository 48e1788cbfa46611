"""A merchant: what they do in their store and its app, and what they ask Calibr."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import httpx2
from rest import Team
from sqlalchemy import text

from calibr.catalog import Connectors, open_connector
from calibr.connectors.port import Connector
from calibr.core.ids import ConnectionId, new_uuid
from calibr.db import Context, Database, Role
from calibr.vault import Vault
from calibr_sandbox.config import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_TOKEN

CREDENTIALS = {"method": "client_credentials", "client_id": DEFAULT_CLIENT_ID}
CONSENT = {"method": "authorization_code", "client_id": DEFAULT_CLIENT_ID}
SECRETS = {"client_secret": DEFAULT_CLIENT_SECRET}


@dataclass(frozen=True)
class Merchant:
    """See the module."""

    store_url: str
    team: Team

    def in_store(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Use the sandbox's own doors."""
        url = f"{self.store_url}/sandbox/{path}"
        answer = httpx2.get(url, trust_env=False) if body is None else httpx2.post(url, json=body, trust_env=False)
        return dict(answer.raise_for_status().json())

    def in_graphql(self, query: str) -> dict[str, Any]:
        """Ask the store with the token that it was started with."""
        headers = {"X-Shopify-Access-Token": DEFAULT_TOKEN}
        url = f"{self.store_url}/admin/api/2026-10/graphql.json"
        answer = httpx2.post(url, json={"query": query}, headers=headers, trust_env=False)
        return dict(answer.json()["data"])

    def revoke_all(self) -> int:
        """End every token that the store has granted."""
        granted = self.in_store("tokens")["tokens"]
        for each in granted:
            self.in_store("tokens/revoke", {"access_token": each["access_token"]})
        return len(granted)

    def connect(
        self, auth: dict[str, str] | None = None, secrets: dict[str, str] | None = None, name: str = "Main"
    ) -> dict[str, Any]:
        config = {"shop_url": self.store_url, **({} if auth is None else {"auth": auth})}
        given = secrets or ({"access_token": DEFAULT_TOKEN} if auth is None else SECRETS)
        body = {"kind": "shopify", "name": name, "config": config, "secrets": given}
        made = self.team.author.post("/v1/connections", json=body)
        assert made.status_code == 201, made.text
        return dict(made.json())

    def ask(self, connection: dict[str, Any], verb: str, **body: object) -> httpx2.Response:
        return self.team.author.post(f"/v1/connections/{connection['id']}/{verb}", json=body)

    def check(self, connection: dict[str, Any]) -> dict[str, Any]:
        answer = self.ask(connection, "check")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def state(self, connection: dict[str, Any]) -> str:
        return str(self.team.author.get(f"/v1/connections/{connection['id']}").json()["state"])

    def consent(self, connection: dict[str, Any]) -> str:
        """Ask Calibr where to go, agree there, and return where the store sends the browser."""
        asked = self.ask(connection, "authorize")
        assert asked.status_code == 200, asked.text
        agreed = httpx2.get(asked.json()["authorize_url"], trust_env=False)
        assert agreed.status_code == 302, agreed.text
        return str(agreed.headers["location"])

    def connected_by_consent(self, name: str = "Main") -> dict[str, Any]:
        connection = self.connect(CONSENT, name=name)
        returned = httpx2.get(self.consent(connection), trust_env=False)
        assert returned.status_code == 200, returned.text
        return connection

    def context(self) -> Context:
        return Context(self.team.principal.tenant_id, "system:worker", new_uuid())

    def open(self, database: Database, connection: dict[str, Any], vault: Vault, connectors: Connectors) -> Connector:
        """The connector as another worker would open it."""
        with database.session(self.context(), role=Role.WORKER) as session:
            return open_connector(session, id_of(connection), vault, connectors)

    def events(self, database: Database, kind: str) -> list[dict[str, Any]]:
        query = """select convert_from(body, 'UTF8')::jsonb -> 'payload' as payload, actor from calibr.event
            where type = :kind order by seq"""
        with database.session(self.context()) as session:
            return [dict(row.payload, actor=row.actor) for row in session.execute(text(query), {"kind": kind})]


def id_of(connection: dict[str, Any]) -> ConnectionId:
    return ConnectionId(UUID(connection["id"]))


def changed(url: str, **changes: str) -> str:
    """The same address with other parameters."""
    parts = urlsplit(url)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **changes})).geturl()
