"""The rules of a change, bound to each of its price lists, and the faults that refuse the whole preview."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calibr.catalog import PriceList
from calibr.changes.model import PriceChange
from calibr.changes.summary import NotApplied
from calibr.core.errors import Fault
from calibr.core.written_json import load_written
from calibr.pricing import BoundRules, DocumentError, FaultCode, Rules, parse_rules
from calibr.pricing.faults import document_error


@dataclass(frozen=True, slots=True)
class ListRules:
    """The rules for one price list."""

    price_list: PriceList
    rules: BoundRules

    @property
    def not_applied(self) -> list[NotApplied]:
        """What means nothing on this price list."""
        price_list = self.price_list
        return [
            NotApplied(price_list.id, price_list.currency, n.kind, n.path, n.name, n.meant_for)
            for n in self.rules.not_applied
        ]


def rules_of(change: PriceChange) -> Rules:
    """The stored documents as rules."""
    documents = (change.selector_json, change.transform_json, change.guardrails_json)
    return parse_rules(*(load_written(document) for document in documents))


def bind_all(rules: Rules, price_lists: Sequence[PriceList]) -> list[ListRules]:
    """Bind rules to every price list, in the order of the plan.

    Raises `DocumentError`; its faults name the price lists and the places.
    """
    bound, faults = [], []
    for price_list in sorted(price_lists, key=lambda p: p.id):
        try:
            bound.append(ListRules(price_list, rules.bind(price_list.currency)))
        except DocumentError as error:
            faults += [_on(price_list, fault) for fault in error.faults]
    if faults:
        answered = min((FaultCode(fault.code) for fault in faults), key=list(FaultCode).index)
        raise document_error([fault for fault in faults if fault.code == answered])
    return bound


def _on(price_list: PriceList, fault: Fault) -> Fault:
    return replace(fault, rule=f"{fault.rule} (price list {price_list.name}, {price_list.currency})")
