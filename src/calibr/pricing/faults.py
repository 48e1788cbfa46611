"""Faults of documents: where, what, which rule. The first one, in the order of the rules page, is the answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from calibr.core.errors import Fault, Invalid
from calibr.core.written_json import Json, JsonNumber

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOWN_CHARACTERS: Final = 80
_SHOWN_FAULTS: Final = 20


class FaultCode(StrEnum):
    """Kinds of faults, in the order in which they are answered."""

    SCHEMA = "schema"
    AMOUNT_PRECISION = "amount_precision"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"


_CODE_ORDER: Final = {code: position for position, code in enumerate(FaultCode)}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a document: its JSON path, and its position in reading order."""

    path: str
    order: tuple[int, ...]

    def member(self, name: str, rank: int) -> "Place":
        """The member `name` of the object here; `rank` is the position of the name on the rules page."""
        step = f".{name}" if _PLAIN_NAME.fullmatch(name) else f"[{_printable(repr(name))}]"
        return Place(self.path + step, (*self.order, rank))

    def element(self, index: int) -> "Place":
        """The element of the list here, counted from 0."""
        return Place(f"{self.path}[{index}]", (*self.order, index))


class DocumentError(Invalid):
    """A document breaks the rules; `faults[0]` is the first fault, and all listed faults share its code."""

    @property
    def fault_code(self) -> FaultCode:
        """Code of the answered fault: `schema`, `amount_precision` or `amount_out_of_range`."""
        return FaultCode(self.faults[0].code)

    @property
    def path(self) -> str:
        """JSON path of the first place."""
        return self.faults[0].path


class Faults:
    """Collects the faults of documents that are read together."""

    def __init__(self) -> None:
        self._found: list[tuple[Place, Fault]] = []

    def add(self, place: Place, rule: str, given: Json = None, code: FaultCode = FaultCode.SCHEMA) -> None:
        """Note that the value `given` at `place` breaks `rule`."""
        self._found.append((place, Fault(path=place.path, value=shown(given), rule=rule, code=code)))

    def __len__(self) -> int:
        return len(self._found)

    def raise_if_any(self) -> None:
        """Raise `DocumentError` if there is a fault."""
        if self._found:
            raise self.error()

    def error(self) -> DocumentError:
        """Return the error for the faults, of which there must be one."""
        answered = min((FaultCode(fault.code) for _, fault in self._found), key=_CODE_ORDER.__getitem__)
        same = [(place.order, fault) for place, fault in self._found if fault.code == answered]
        return document_error([fault for _, fault in sorted(same, key=lambda found: found[0])])


def document_error(faults: Sequence[Fault]) -> DocumentError:
    """Return the error for faults that stand in order."""
    first = faults[0]
    given = f" (given: {first.value})" if first.value is not None else ""
    return DocumentError(
        code=f"document.{first.code}",
        message=f"{first.path}: {first.rule}{given}",
        faults=tuple(faults[:_SHOWN_FAULTS]),
    )


def shown(value: Json) -> str | None:
    """Return a short printable form of a given value, None for null."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            text = repr(value[: _SHOWN_CHARACTERS + 1])
        case JsonNumber():
            text = value.text
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"an object with {len(value)} members"
    printable = _printable(text)
    return printable if len(printable) <= _SHOWN_CHARACTERS else printable[:_SHOWN_CHARACTERS] + "…"


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
