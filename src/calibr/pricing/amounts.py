"""Amounts of documents: a decimal as written, perhaps with a currency, and how it meets that of a price list."""

from collections.abc import Sequence
from dataclasses import dataclass

from calibr.core.money import AmountFault, Written, to_minor
from calibr.pricing.faults import FaultCode, Faults, Place
from calibr.pricing.vocabulary import Reason


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as a document states it. Without a currency it is read in that of each price list."""

    written: Written
    currency: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why amounts do not fit a price list, and the first place where."""

    reason: Reason
    amount: Amount


def meets(amounts: Sequence[Amount], currency: str) -> bool:
    """Whether the amounts (which share their currency) are meant for price lists of `currency`."""
    return all(amount.currency in {None, currency} for amount in amounts)


def fit(amounts: Sequence[Amount], currency: str) -> tuple[int, ...] | Misfit:
    """Return the amounts in minor units of `currency`, or why they do not fit: currency, then precision, then range."""
    for amount in amounts:
        if amount.currency not in {None, currency}:
            return Misfit(Reason.CURRENCY_MISMATCH, amount)
    minor = [to_minor(amount.written, currency) for amount in amounts]
    for fault, reason in (
        (AmountFault.PRECISION, Reason.AMOUNT_PRECISION),
        (AmountFault.OUT_OF_RANGE, Reason.AMOUNT_OUT_OF_RANGE),
    ):
        for amount, result in zip(amounts, minor, strict=True):
            if result is fault:
                return Misfit(reason, amount)
    return tuple(int(value) for value in minor if not isinstance(value, AmountFault))


def note_misfits(faults: Faults, amounts: Sequence[Amount], currency: str) -> None:
    """Note each amount of a selector or guardrail that does not fit `currency` as a fault of the document."""
    for amount in amounts:
        result = to_minor(amount.written, currency)
        if result is AmountFault.PRECISION:
            rule = f"has more decimals than {currency} allows"
            faults.add(amount.place, rule, amount.written.text, FaultCode.AMOUNT_PRECISION)
        elif result is AmountFault.OUT_OF_RANGE:
            rule = f"is beyond 10^12 minor units of {currency}"
            faults.add(amount.place, rule, amount.written.text, FaultCode.AMOUNT_OUT_OF_RANGE)
