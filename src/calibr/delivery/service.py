"""What people can do with a subscription. Each command is one transaction with its event."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from calibr.core.errors import Conflict, Fault, Invalid
from calibr.core.ids import new_uuid
from calibr.db import Session
from calibr.delivery import repository
from calibr.delivery.core import Key
from calibr.delivery.health import AGGREGATE
from calibr.delivery.model import OnPoison, Projection, Subscription, SubscriptionKind, SubscriptionState
from calibr.delivery.repository_lanes import (
    WILDCARD,
    forget_inbox,
    forget_inbox_before,
    reset_lanes,
)
from calibr.events import Event, JsonValue, emit, head_seq
from calibr.registry import load_registry
from calibr.vault import SecretPlace, Vault

NAME_LENGTH: Final = 200
LANES: Final = 8
LANE_COUNTS: Final = (1, 2, 4, 8, 16, 32, 64)
SECRET: Final = "secret"  # noqa: S105 - the name of a secret
PREVIOUS_SECRET: Final = "previous_secret"  # noqa: S105 - as above
OLD_SECRET_LIVES: Final = timedelta(hours=24)
INBOX_KEPT_FOR: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class KindRules:
    """What a kind of subscriber asks for. `judge` cleans a configuration or raises Invalid, and contacts nobody."""

    judge: Callable[[Mapping[str, Any]], dict[str, Any]]
    new_secret: Callable[[], str] | None = None


Kinds = Mapping[SubscriptionKind, KindRules]
"""The kinds that people may subscribe with in this installation."""


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """Who is to get which events. `from_seq`: events after it are delivered (None: from now on, 0: all)."""

    kind: str
    name: str
    config: Mapping[str, Any]
    event_types: Sequence[str] = ()
    lanes: int = LANES
    on_poison: OnPoison = OnPoison.PARK_KEY
    from_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A new subscription, and the secret that signs what it gets (shown this once)."""

    subscription: Subscription
    secret: str | None = field(repr=False)


def create_subscription(session: Session, new: NewSubscription, *, kinds: Kinds, vault: Vault) -> Created:
    """Make a subscription. Emits `subscription.created`; contacts nobody.

    Raises Invalid with the field at fault, and Conflict `subscription.name_taken`.
    """
    kind, rules = _kind(new.kind, kinds)
    if new.lanes not in LANE_COUNTS:
        raise _bad("lanes", new.lanes, f"must be one of {', '.join(map(str, LANE_COUNTS))}")
    head = head_seq(session)
    pos = head if new.from_seq is None else min(max(new.from_seq, 0), head)
    subscription_id, secret = new_uuid(), rules.new_secret() if rules.new_secret else None
    values = {
        "id": subscription_id,
        "kind": kind,
        "name": _checked_name(new.name),
        "config": rules.judge(new.config),
        "event_types": _checked_types(new.event_types),
        "lanes": new.lanes,
        "on_poison": new.on_poison,
        "created_by": session.context.actor,
        "sealed": {SECRET: _seal(session, vault, subscription_id, secret)} if secret else {},
    }
    made = repository.insert_subscription(session, values, pos=pos)
    if made is None:
        raise Conflict("subscription.name_taken", f"There is already a subscription named {new.name.strip()!r}.")
    payload: dict[str, JsonValue] = {
        "kind": str(made.kind),
        "event_types": list(made.event_types),
        "lanes": made.lanes,
        "on_poison": str(made.on_poison),
        "config": made.config,
        "position": pos,
    }
    _tell(session, made, "created", payload)
    return Created(made, secret)


def update_subscription(
    session: Session,
    subscription_id: UUID,
    *,
    kinds: Kinds,
    event_types: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Subscription:
    """Change what a subscriber gets, or where. Raises NotFound, Invalid, and Conflict for a projection."""
    known = _own(session, subscription_id)
    values: dict[str, Any] = {}
    if event_types is not None:
        values["event_types"] = _checked_types(event_types)
    if config is not None:
        values["config"] = _kind(known.kind, kinds)[1].judge(config)
    if not values:
        return known
    made = repository.update_subscription(session, subscription_id, values)
    _tell(session, made, "updated", {"event_types": values.get("event_types"), "config": values.get("config")})
    return made


def pause(session: Session, subscription_id: UUID) -> Subscription:
    """Deliver nothing until `resume`. What is on its way still arrives."""
    known = _own(session, subscription_id)
    if known.state is not SubscriptionState.ACTIVE:
        raise Conflict("subscription.wrong_state", f"subscription {known.name!r} is {known.state} already")
    return _set_state(session, subscription_id, SubscriptionState.PAUSED, "paused")


def resume(session: Session, subscription_id: UUID) -> Subscription:
    """Go on where deliveries stopped, also after Calibr disabled the subscription."""
    known = _own(session, subscription_id)
    if known.state is SubscriptionState.ACTIVE:
        raise Conflict("subscription.wrong_state", f"subscription {known.name!r} is active already")
    return _set_state(session, subscription_id, SubscriptionState.ACTIVE, "resumed")


def delete_subscription(session: Session, subscription_id: UUID) -> None:
    """Delete a subscription with its dead letters; the events stay in the log."""
    known = _own(session, subscription_id)
    _tell(session, known, "deleted")
    repository.delete_subscription(session, subscription_id)


def replay(
    session: Session, subscription_id: UUID, from_seq: int, *, projections: Mapping[str, Projection]
) -> Subscription:
    """Deliver everything after `from_seq` once more, marked as a replay. A projection is rebuilt, always from 0.

    A worker that is at it loses its lanes; what it delivers late has no effect on positions.
    """
    known = repository.lock_subscription(session, subscription_id)
    head = head_seq(session)
    if known.kind is SubscriptionKind.PROJECTION:
        from_seq = 0
        forget_inbox(session, known.name)
        projections[known.name].clear(session)
    elif not 0 <= from_seq <= head:
        raise _bad("from_seq", from_seq, f"must be between 0 and {head}, the number of the last event")
    reset_lanes(session, subscription_id, pos=from_seq, replay_to=head)
    _tell(session, known, "replayed", {"position": from_seq, "replay_to": head})
    return known


def redeliver(session: Session, subscription_id: UUID, key: Key | None = None) -> int:
    """Deliver dead letters again, in their order, and let their aggregates go on; returns how many there are.

    Raises Conflict `subscription.nothing_parked`.
    """
    known = _own(session, subscription_id)
    count = repository.release(session, subscription_id, key)
    if not count:
        raise Conflict("subscription.nothing_parked", f"subscription {known.name!r} has no such dead letters")
    aggregate_type, aggregate_id = key or (None, None)
    payload: dict[str, JsonValue] = {
        "aggregate_type": aggregate_type,
        "aggregate_id": aggregate_id,
        "dead_letters": count,
    }
    _tell(session, known, "redelivery_requested", payload)
    return count


def rotate_secret(session: Session, subscription_id: UUID, *, kinds: Kinds, vault: Vault) -> Created:
    """Sign with a new secret, and for 24 hours with the old one too, so that a receiver can change at leisure."""
    known = _own(session, subscription_id)
    make = _kind(known.kind, kinds)[1].new_secret
    if make is None:
        raise Conflict("subscription.no_secret", f"a subscription of kind {known.kind} has no secret")
    secret, sealed = make(), repository.load_sealed(session, subscription_id)
    previous = _open(session, vault, subscription_id, sealed, SECRET)
    until = (session.now + OLD_SECRET_LIVES).isoformat()
    renewed = {SECRET: _seal(session, vault, subscription_id, secret)}
    if previous is not None:
        renewed[PREVIOUS_SECRET] = _seal(session, vault, subscription_id, previous, PREVIOUS_SECRET)
        renewed["previous_until"] = until
    made = repository.update_subscription(session, subscription_id, {"sealed": renewed})
    _tell(session, made, "secret_rotated")
    return Created(made, secret)


def open_secrets(session: Session, subscription_id: UUID, vault: Vault) -> list[str]:
    """The secrets that sign deliveries now, newest first."""
    sealed = repository.load_sealed(session, subscription_id)
    names = [SECRET]
    if sealed.get("previous_until", "") > session.now.isoformat():
        names.append(PREVIOUS_SECRET)
    opened = (_open(session, vault, subscription_id, sealed, name) for name in names)
    return [secret for secret in opened if secret is not None]


def ensure_projections(session: Session, projections: Iterable[Projection]) -> None:
    """Give the tenant the projections of this program; they begin with the first event. For the worker."""
    for projection in projections:
        values = {
            "id": new_uuid(),
            "kind": SubscriptionKind.PROJECTION,
            "name": projection.name,
            "config": {},
            "event_types": list(projection.event_types),
            "lanes": LANES,
            "on_poison": OnPoison.BLOCK_LANE,
            "created_by": session.context.actor,
        }
        repository.insert_subscription(session, values, pos=0)


def forget_old_messages(session: Session) -> int:
    """Forget what was taken in more than 30 days ago; nothing is delivered again after so long. For the worker."""
    return forget_inbox_before(session, session.now - INBOX_KEPT_FOR)


def _own(session: Session, subscription_id: UUID) -> Subscription:
    """A subscription that somebody made, locked; ours keep the program right and are not for people to change."""
    known = repository.lock_subscription(session, subscription_id)
    if known.kind is SubscriptionKind.PROJECTION:
        raise Conflict(
            "subscription.is_ours", f"subscription {known.name!r} is part of Calibr and can only be replayed"
        )
    return known


def _set_state(session: Session, subscription_id: UUID, state: SubscriptionState, event: str) -> Subscription:
    values = {"state": state, "reason": None, "failing_since": None}
    made = repository.update_subscription(session, subscription_id, values)
    _tell(session, made, event)
    return made


def _tell(session: Session, about: Subscription, event: str, payload: Mapping[str, JsonValue] | None = None) -> None:
    body = {"name": about.name, **(payload or {})}
    emit(session, Event(f"subscription.{event}", AGGREGATE, str(about.id), body))


def _kind(kind: str, kinds: Kinds) -> tuple[SubscriptionKind, KindRules]:
    known = {str(each): each for each in kinds}
    if kind not in known:
        raise _bad("kind", kind, f"must be one of {', '.join(sorted(known))}")
    return known[kind], kinds[known[kind]]


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > NAME_LENGTH:
        raise _bad("name", name[:NAME_LENGTH], f"must have 1 to {NAME_LENGTH} characters")
    return name.strip()


def _checked_types(event_types: Sequence[str]) -> list[str]:
    """Known types, or prefixes such as `price.*` of known ones."""
    known = [subject.removeprefix("event/") for subject in load_registry().subjects() if subject.startswith("event/")]
    for index, wanted in enumerate(event_types):
        prefix = wanted.removesuffix("*") if wanted.endswith(WILDCARD) else None
        if wanted not in known and (prefix is None or not any(each.startswith(prefix) for each in known)):
            raise _bad(f"event_types[{index}]", wanted[:NAME_LENGTH], "is no event type, nor a prefix such as price.*")
    return list(dict.fromkeys(event_types))


def _bad(name: str, value: object, rule: str) -> Invalid:
    fault = Fault(f"$.{name}", str(value), rule)
    return Invalid(f"subscription.{name.partition('[')[0]}", f"{name} {rule}", faults=(fault,))


def _seal(session: Session, vault: Vault, subscription_id: UUID, secret: str, name: str = SECRET) -> str:
    return vault.seal(SecretPlace(session.tenant_id, subscription_id, name), secret)


def _open(session: Session, vault: Vault, subscription_id: UUID, sealed: Mapping[str, str], name: str) -> str | None:
    text = sealed.get(name)
    return None if text is None else vault.open(SecretPlace(session.tenant_id, subscription_id, name), text).reveal()
