"""The kinds of subscribers that this installation has: what each asks for, how it is opened, how it is retried."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from calibr.core.errors import Invalid
from calibr.db import Session
from calibr.delivery.core import Schedule
from calibr.delivery.model import Projection, Receiver, Subscription, SubscriptionKind
from calibr.delivery.service import KindRules, open_secrets
from calibr.vault import Vault

Secrets = list[str]
Open = Callable[[Subscription, Secrets, Session], Receiver]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of subscriber outside of the database."""

    rules: KindRules
    open: Open
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Subscribers:
    """Built once by the program; features and the worker get it from there."""

    vault: Vault
    outside: Mapping[SubscriptionKind, Kind] = field(default_factory=lambda: MappingProxyType({}))
    projections: Mapping[str, Projection] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def rules(self) -> Mapping[SubscriptionKind, KindRules]:
        """What people may subscribe with."""
        return {name: kind.rules for name, kind in self.outside.items()}

    @property
    def schedules(self) -> Mapping[SubscriptionKind, Schedule]:
        """When failed deliveries are tried again."""
        return {name: kind.schedule for name, kind in self.outside.items()}

    def open(self, session: Session, subscription: Subscription) -> Receiver:
        """Open the receiver of a subscription. Raises Invalid for a kind that this installation does not have."""
        kind = self.outside.get(subscription.kind)
        if kind is None:
            raise Invalid("subscription.kind", f"this installation has no subscribers of kind {subscription.kind}")
        return kind.open(subscription, open_secrets(session, subscription.id, self.vault), session)
