"""The one error tree. The domain knows no HTTP: `http/problem.py` maps a kind to a status.

CalibrError
├── Invalid          the input breaks a rule                      exit 2
├── Unauthenticated  no or a bad credential
├── Forbidden        a valid credential without the right
├── NotFound         no such thing in this tenant
├── Conflict         the thing is not in a state that allows this
├── RateLimited      too many requests
├── Upstream         a remote store answered wrongly or not at all
└── Unavailable      a part of ours is down
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule: where (a JSON path), what was given, which rule."""

    path: str
    value: str | None
    rule: str
    code: str = "schema"


@dataclass(eq=False)
class CalibrError(Exception):
    """Base of all expected errors: a stable dotted code and a sentence for a person.

    The sentence names the field, the value and the rule. It never carries a secret, since it is shown and logged.
    """

    code: str
    message: str
    retryable: bool = False
    faults: tuple[Fault, ...] = field(default=())

    def __str__(self) -> str:
        return self.message


class Invalid(CalibrError):
    """The input breaks a rule; nothing was changed."""


class Unauthenticated(CalibrError):
    """No credential, or one that is unknown, expired or revoked."""


class Forbidden(CalibrError):
    """The credential is good but does not allow this."""


class NotFound(CalibrError):
    """No such thing in this tenant (another tenant's thing looks exactly the same)."""


class Conflict(CalibrError):
    """The current state does not allow this."""


class RateLimited(CalibrError):
    """Too many requests; try again later."""


class Upstream(CalibrError):
    """The remote store refused, failed or could not be reached."""


class Unavailable(CalibrError):
    """A part of Calibr is not available."""
