"""Fault rules as people write them: the named sets, and JSON documents with their sentences for what is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from calibr_sandbox.faults import WEBHOOK_KINDS, FaultKind, FaultRule

PRESETS: Final[dict[str, tuple[FaultRule, ...]]] = {
    "default": (
        FaultRule(FaultKind.DROP_AFTER, rate=0.02, seed=11, mutations_only=True),
        FaultRule(FaultKind.DROP_BEFORE, rate=0.01, seed=12),
        FaultRule(FaultKind.TOO_MANY_REQUESTS, rate=0.03, seed=13, retry_after_s=0.2),
        FaultRule(FaultKind.SERVER_ERROR, rate=0.02, seed=14),
        FaultRule(FaultKind.TRUNCATE, rate=0.01, seed=15),
        FaultRule(FaultKind.DELAY_BEFORE, rate=0.005, seed=16, delay_s=0.2, delay_jitter_s=0.3),
        FaultRule(FaultKind.DELAY_AFTER, rate=0.005, seed=17, delay_s=0.2, delay_jitter_s=0.3),
        FaultRule(FaultKind.THROTTLE, rate=0.005, seed=18, burst=5),
        FaultRule(FaultKind.DUPLICATE_WEBHOOKS, rate=0.05, seed=19),
        FaultRule(FaultKind.REORDER_WEBHOOKS, rate=0.05, seed=20),
    ),
}
"""What `--faults NAME` stands for. `default` is a bad day."""

_NUMBER: Final = (int, float)
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    **dict.fromkeys(("rate", "delay_s", "delay_jitter_s", "retry_after_s"), _NUMBER),
    "count": (int, type(None)),
    **dict.fromkeys(("seed", "burst"), (int,)),
    "mutations_only": (bool,),
    "operations": (list, tuple),
    "between": (list, tuple, type(None)),
}


def read_rule(body: Mapping[str, Any]) -> FaultRule:
    """Make a rule of what somebody wrote. Raises ValueError that names the field, the value and what it should be."""
    known = [field.name for field in fields(FaultRule)]
    for name, value in body.items():
        if name not in known:
            raise ValueError(f"{name}: is not known (value {value!r}); a fault may have {', '.join(known)}")
    values = dict(body)
    try:
        values["kind"] = FaultKind(values.get("kind", ""))
    except ValueError:
        raise ValueError(f"kind: {body.get('kind')!r} is not one of {', '.join(FaultKind)}") from None
    _check_types(values)
    values["operations"] = tuple(values.get("operations", ()))
    values["between"] = _span(values.get("between"))
    return FaultRule(**values)


def read_rules(document: object) -> list[FaultRule]:
    """Make rules of a JSON document: a list of rules, or `{"faults": [...], "webhooks": {kind: rate}}`.

    Raises:
        ValueError: names the rule by its index, and the field.
    """
    listed, rates = document, {}
    if isinstance(document, dict) and document:
        unknown = sorted(document.keys() - {"faults", "webhooks"})
        if unknown:
            raise ValueError(f"{unknown[0]}: is not known; a fault file holds faults and webhooks")
        listed, rates = document.get("faults", []), document.get("webhooks", {})
    if not isinstance(listed, list):
        raise ValueError(f"a fault file holds a JSON list of rules, not {_name(listed)}")  # noqa: TRY004 - bad input
    if not isinstance(rates, dict):
        raise ValueError(f"webhooks: {rates!r} is no object of rates")  # noqa: TRY004 - bad input
    return [_numbered(index, body) for index, body in enumerate(listed)] + [
        _webhook_rule(kind, rate) for kind, rate in rates.items()
    ]


def as_document(rules: Sequence[FaultRule]) -> list[dict[str, object]]:
    """The rules as a fault file holds them."""
    return [{key: value for key, value in asdict(rule).items() if value not in (None, ())} for rule in rules]


def _numbered(index: int, body: object) -> FaultRule:
    if not isinstance(body, dict):
        raise ValueError(f"rule {index}: {body!r} is no object")  # noqa: TRY004 - bad input
    try:
        return read_rule(body)
    except ValueError as error:
        raise ValueError(f"rule {index}: {error}") from error


def _webhook_rule(kind: str, rate: object) -> FaultRule:
    if kind not in WEBHOOK_KINDS:
        raise ValueError(f"webhooks: {kind!r} is not one of {', '.join(WEBHOOK_KINDS)}")
    try:
        return read_rule({"kind": kind, "rate": rate})
    except ValueError as error:
        raise ValueError(f"webhooks: {kind}: {error}") from error


def _check_types(values: Mapping[str, Any]) -> None:
    for name, types in _TYPES.items():
        if name in values and not _is_one_of(values[name], types):
            wanted = " or ".join(_name(each) for each in types if each is not tuple)
            raise ValueError(f"{name}: {values[name]!r} is not {wanted}")
    for operation in values.get("operations", ()):
        if not isinstance(operation, str):
            raise ValueError(f"operations: {operation!r} is not text")  # noqa: TRY004 - bad input


def _span(sent: Sequence[Any] | None) -> tuple[float, float] | None:
    if sent is None:
        return None
    if len(sent) != 2 or not all(_is_one_of(each, _NUMBER) for each in sent):  # noqa: PLR2004 - from and to
        raise ValueError(f"between: {list(sent)!r} is not two numbers of seconds: from and to")
    return sent[0], sent[1]


def _is_one_of(value: object, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _name(thing: object) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", list: "a list", type(None): "null"}
    key = thing if isinstance(thing, type) else type(thing)
    return words.get(key, "an object" if key is dict else key.__name__)
