"""The three documents of a rule, read together, and what they mean for price lists of a currency."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from calibr.core.canonical import canonical_json
from calibr.core.errors import Invalid
from calibr.core.money import is_currency
from calibr.core.written_json import Json, JsonRefused, load_written
from calibr.pricing.faults import Faults, Place
from calibr.pricing.guardrails import Guardrail, GuardrailDocument, read_guardrails
from calibr.pricing.selector import Node, SelectorBinding, SelectorDocument, read_selector
from calibr.pricing.transform import Transform, TransformDocument, read_transform

_ROOT: Final = "$"
_SELECTOR: Final = Place(f"{_ROOT}.selector", (0,))
_TRANSFORM: Final = Place(f"{_ROOT}.transform", (1,))
_GUARDRAILS: Final = Place(f"{_ROOT}.guardrails", (2,))


@dataclass(frozen=True, slots=True)
class NotApplied:
    """A leaf or guardrail that means nothing on a price list, because its amount is meant for another currency."""

    kind: str
    path: str
    name: str
    meant_for: str


@dataclass(frozen=True, slots=True)
class BoundRules:
    """Rules for price lists of one currency."""

    currency: str
    selector: Node
    transform: Transform
    guardrails: tuple[Guardrail, ...]
    not_applied: tuple[NotApplied, ...]
    rule_hash: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules as previewed: valid documents, in canonical JSON too, which is what `rule_hash` is the SHA-256 of."""

    selector: SelectorDocument
    transform: TransformDocument
    guardrails: tuple[GuardrailDocument, ...]
    selector_json: bytes
    transform_json: bytes
    guardrails_json: bytes
    rule_hash: str

    def bind(self, currency: str) -> BoundRules:
        """Return the rules for price lists of `currency`.

        Raises `DocumentError` (`amount_precision`, `amount_out_of_range`) where an amount of the selector, of a `when`
        or of a guardrail does not fit the currency, and Invalid `currency.unknown` for a currency without minor units.
        """
        if not is_currency(currency):
            raise Invalid("currency.unknown", f"{currency} is not an active ISO 4217 currency with minor units.")
        faults = Faults()
        selectors = SelectorBinding(currency, faults)
        selector = selectors.bind(self.selector)
        transform = self.transform.bind(currency, selectors)
        guardrails = tuple(document.bind(currency, faults) for document in self.guardrails)
        faults.raise_if_any()
        not_applied = (*_leaves(selectors), *_guardrails(self.guardrails, currency))
        return BoundRules(currency, selector, transform, guardrails, not_applied, self.rule_hash)


def _leaves(selectors: SelectorBinding) -> tuple[NotApplied, ...]:
    return tuple(
        NotApplied("leaf", leaf.place.path, leaf.field_name, leaf.amounts[0].currency or "")
        for leaf in selectors.not_applied
    )


def _guardrails(documents: tuple[GuardrailDocument, ...], currency: str) -> tuple[NotApplied, ...]:
    return tuple(
        NotApplied("guardrail", document.place.path, document.id, document.amounts[0].currency or "")
        for document in documents
        if not document.applies_to(currency)
    )


def load_document(data: bytes | str) -> Json:
    """Parse one document from JSON text, so that its numbers keep the form they were written in.

    Raises `DocumentError` (`schema`, path `$`) for what is not JSON, repeats a name, or is nested too deeply.
    """
    try:
        return load_written(data)
    except JsonRefused as refusal:
        faults = Faults()
        faults.add(Place(_ROOT, ()), f"cannot be read: {refusal}")
        raise faults.error() from refusal


def parse_rules(selector: Json, transform: Json, guardrails: Json) -> Rules:
    """Check the three documents whole and return them as rules.

    Raises `DocumentError` (`schema`); paths start with `$.selector`, `$.transform` or `$.guardrails`.
    """
    faults = Faults()
    read_as_selector = read_selector(faults, selector, _SELECTOR)
    read_as_transform = read_transform(faults, transform, _TRANSFORM)
    read_as_guardrails = read_guardrails(faults, guardrails, _GUARDRAILS)
    faults.raise_if_any()
    return Rules(
        read_as_selector,
        read_as_transform,
        read_as_guardrails,
        selector_json=canonical_json(selector),
        transform_json=canonical_json(transform),
        guardrails_json=canonical_json(guardrails),
        rule_hash=rule_hash(selector, transform, guardrails),
    )


def rule_hash(selector: Json, transform: Json, guardrails: Json) -> str:
    """SHA-256, in lower-case hex, over the RFC 8785 form of `{selector, transform, guardrails}`."""
    documents = {"selector": selector, "transform": transform, "guardrails": guardrails}
    return sha256(canonical_json(documents)).hexdigest()
