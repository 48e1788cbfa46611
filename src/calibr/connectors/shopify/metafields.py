"""Metafields that a connection asks for: which, how they are asked, and what their attributes are called."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from calibr.core.errors import Fault

MOST: Final = 50
"""Of products and of variants each: the document of an export may have 65,535 bytes."""

CONFIG_FIELDS: Final = frozenset({"product_metafields", "variant_metafields"})
_NAME: Final = re.compile(r"(\$?[A-Za-z0-9_:-]{2,255})\.([A-Za-z0-9_-]{2,64})")
_RULE: Final = f"must be a list of up to {MOST} different texts such as custom.material (namespace.key)"


@dataclass(frozen=True, slots=True)
class Metafields:
    """Names as `namespace.key`."""

    product: tuple[str, ...] = ()
    variant: tuple[str, ...] = ()


NO_METAFIELDS: Final = Metafields()


def parse_metafields(config: Mapping[str, object], faults: list[Fault]) -> Metafields:
    """Read a connection's settings; what is wrong is added to `faults`."""
    found = {field: _names(config.get(field, []), f"$.config.{field}", faults) for field in sorted(CONFIG_FIELDS)}
    return Metafields(found["product_metafields"], found["variant_metafields"])


def selection(names: tuple[str, ...]) -> str:
    """The fields of a node that bring these metafields. They are no connections, of which an export may have five."""
    parts = (name.rpartition(".") for name in names)
    return " ".join(
        f'{alias(place)}: metafield(namespace: "{namespace}", key: "{key}") {{ type value }}'
        for place, (namespace, _, key) in enumerate(parts)
    )


def alias(place: int) -> str:
    """What the metafield of this place in its list is called in the export."""
    return f"metafield{place}"


def attribute(name: str) -> str:
    """The name of its attribute."""
    return f"metafield.{name}"


def _names(value: object, path: str, faults: list[Fault]) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST:
        faults.append(Fault(path, str(value)[:200], _RULE))
        return ()
    wrong = [each for each in value if not isinstance(each, str) or not _NAME.fullmatch(each)]
    if wrong or len(set(value)) < len(value):
        shown = str(wrong[0] if wrong else value)[:200]
        faults.append(Fault(path, shown, _RULE))
        return ()
    return tuple(value)
