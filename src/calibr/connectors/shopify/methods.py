"""The ways in which a connection may be authorized, read from its configuration. Pure; nothing is contacted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from calibr.core.errors import Fault


class AuthMethod(StrEnum):
    """How a connection comes by its access token."""

    TOKEN = "token"  # noqa: S105 - a name
    """A token that somebody pasted: of an app that was once made in a store's admin. It does not end."""
    CLIENT_CREDENTIALS = "client_credentials"
    """Our own app in our own organization: a token for 24 hours whenever we ask."""
    AUTHORIZATION_CODE = "authorization_code"
    """An app for other people's stores: the owner agrees in the browser; a token for an hour, renewed by rotation."""


@dataclass(frozen=True, slots=True)
class AppAuth:
    """The app that a token is asked for. The secret never shows in a repr."""

    method: AuthMethod
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Auth:
    """Exactly one of the two: a pasted token, or an app to ask a token for."""

    token: str | None = field(default=None, repr=False)
    app: AppAuth | None = None


WEBHOOK_SECRETS: Final = ("client_secret", "previous_client_secret")
"""What the app signs webhooks with, and before a rotation signed with; a pasted token needs them for webhooks only."""
SECRET_OF: Final[Mapping[AuthMethod, str]] = {
    AuthMethod.TOKEN: "access_token",
    AuthMethod.CLIENT_CREDENTIALS: "client_secret",
    AuthMethod.AUTHORIZATION_CODE: "client_secret",
}
_SECRET: Final = re.compile(r"[\x21-\x7e]{1,512}")
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


def parse_auth(written: object, secrets: Mapping[str, str], faults: list[Fault]) -> Auth | None:
    """Read `config.auth` and the secret that its method takes; no `auth` is a pasted token. Adds what is wrong."""
    if written is None:
        written = {"method": AuthMethod.TOKEN.value}
    if not isinstance(written, Mapping):
        faults.append(Fault("$.config.auth", None, "must be an object with a method"))
        return None
    method = _method(written.get("method"), faults)
    if method is None:
        return None
    known = {"method"} if method is AuthMethod.TOKEN else {"method", "client_id"}
    rule = f"is not known for the method {method}; {', '.join(sorted(known))} are"
    faults += [Fault(f"$.config.auth.{name}", None, rule) for name in sorted(map(str, written.keys() - known))]
    secret = _secret(method, secrets, faults)
    if method is AuthMethod.TOKEN:
        return None if secret is None else Auth(token=secret)
    client_id = written.get("client_id")
    if not isinstance(client_id, str) or not _CLIENT_ID.fullmatch(client_id):
        given = None if client_id is None else str(client_id)[:80]
        faults.append(Fault("$.config.auth.client_id", given, "must be 1 to 128 letters, digits, - or _"))
        return None
    return None if secret is None else Auth(app=AppAuth(method, client_id, secret))


def _method(value: object, faults: list[Fault]) -> AuthMethod | None:
    if isinstance(value, str) and value in set(AuthMethod):
        return AuthMethod(value)
    shown = None if value is None else str(value)[:80]
    faults.append(Fault("$.config.auth.method", shown, f"must be one of {', '.join(AuthMethod)}"))
    return None


def _secret(method: AuthMethod, secrets: Mapping[str, str], faults: list[Fault]) -> str | None:
    wanted = SECRET_OF[method]
    # The value of an unknown secret is not shown: it may be a credential under a mistyped name.
    rule = f"is not known; {wanted} is"
    faults += [Fault(f"$.secrets.{name}", None, rule) for name in sorted(secrets.keys() - {wanted, *WEBHOOK_SECRETS})]
    form = "must be 1 to 512 printable characters without spaces"
    signing = sorted(secrets.keys() & set(WEBHOOK_SECRETS) - {wanted})
    faults += [Fault(f"$.secrets.{name}", None, form) for name in signing if not _SECRET.fullmatch(secrets[name])]
    value = secrets.get(wanted)
    if isinstance(value, str) and _SECRET.fullmatch(value):
        return value
    faults.append(Fault(f"$.secrets.{wanted}", None, form))
    return None
