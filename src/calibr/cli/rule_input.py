"""The rule of a new change: a JSON file, or short options for the common cases."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Final

from typer import Option

from calibr.cli.failures import CliError
from calibr.core.written_json import Json, JsonRefused, load_written

WHO: Final = "Which products (all conditions must hold)"
WHAT: Final = "The new price (in this order)"
LIMITS: Final = "Guardrails"

Rule = Mapping[str, object]
PARTS: Final = ("selector", "transform", "guardrails")


@dataclass(frozen=True, slots=True)
class SelectorOptions:
    """Which products, as options."""

    everything: Annotated[bool, Option("--everything", help="The whole catalog.", rich_help_panel=WHO)] = False
    tag: Annotated[list[str], Option(help="Has one of these tags (repeat).", rich_help_panel=WHO)] = field(
        default_factory=list
    )
    vendor: Annotated[list[str], Option(help="Vendor is one of these (repeat).", rich_help_panel=WHO)] = field(
        default_factory=list
    )
    product_type: Annotated[
        list[str], Option("--type", help="Product type is one of these (repeat).", rich_help_panel=WHO)
    ] = field(default_factory=list)
    sku: Annotated[list[str], Option(help="SKU is one of these (repeat).", rich_help_panel=WHO)] = field(
        default_factory=list
    )

    def selector(self) -> Rule:
        """The selector document."""
        leaves: list[Rule] = []
        if self.tag:
            leaves.append({"field": "product.tags", "op": "has_any", "value": self.tag})
        if self.vendor:
            leaves.append({"field": "product.vendor", "op": "in", "value": self.vendor})
        if self.product_type:
            leaves.append({"field": "product.product_type", "op": "in", "value": self.product_type})
        if self.sku:
            leaves.append({"skus": self.sku})
        if self.everything and leaves:
            raise CliError("--everything excludes --tag, --vendor, --type and --sku")
        if not self.everything and not leaves:
            raise CliError("say which products: --tag, --vendor, --type, --sku, or --everything for the whole catalog")
        return leaves[0] if len(leaves) == 1 else {"all": leaves}


@dataclass(frozen=True, slots=True)
class RuleOptions(SelectorOptions):
    """A rule as options of `change new`. Amounts and percents stay texts: the server reads them exactly."""

    rule: Annotated[
        Path | None,
        Option(help='File with {"selector", "transform", "guardrails"}; - reads standard input. Excludes the rest.'),
    ] = None
    set_to: Annotated[str | None, Option("--set", help="Set the price.", rich_help_panel=WHAT)] = None
    markup: Annotated[str | None, Option(help="Cost plus this percent.", rich_help_panel=WHAT)] = None
    percent: Annotated[str | None, Option(help="Change by percent, e.g. -10.", rich_help_panel=WHAT)] = None
    amount: Annotated[str | None, Option(help="Change by an amount, e.g. -1.50.", rich_help_panel=WHAT)] = None
    ending: Annotated[list[str], Option(help="End like 0.99 (repeat).", rich_help_panel=WHAT)] = field(
        default_factory=list
    )
    ending_per: Annotated[str, Option(help="The ending recurs per this amount.", rich_help_panel=WHAT)] = "1"
    compare_at: Annotated[
        str, Option(help="keep, clear, old-price (strike through), or an amount.", rich_help_panel=WHAT)
    ] = "keep"
    floor: Annotated[str | None, Option(help="Never below this amount.", rich_help_panel=LIMITS)] = None
    ceiling: Annotated[str | None, Option(help="Never above this amount.", rich_help_panel=LIMITS)] = None
    min_markup: Annotated[
        str | None, Option(help="At least this percent above cost, where it is known.", rich_help_panel=LIMITS)
    ] = None
    min_margin: Annotated[
        str | None, Option(help="At least this margin in percent, where the cost is known.", rich_help_panel=LIMITS)
    ] = None
    max_decrease: Annotated[str | None, Option(help="Fall by at most this percent.", rich_help_panel=LIMITS)] = None
    max_increase: Annotated[str | None, Option(help="Rise by at most this percent.", rich_help_panel=LIMITS)] = None

    def documents(self) -> Rule:
        """The rule as the API takes it."""
        if self.rule is None:
            return {"selector": self.selector(), "transform": self._transform(), "guardrails": self._guardrails()}
        clash = [f.name for f in fields(self) if f.name != "rule" and getattr(self, f.name) != _DEFAULTS[f.name]]
        if clash:
            raise CliError(f"--rule already says everything; leave out {', '.join(_flag(name) for name in clash)}")
        return read_rule(self.rule)

    def _transform(self) -> Rule:
        steps: list[Rule] = []
        if self.set_to is not None:
            steps.append({"op": "set", "to": self.set_to})
        if self.markup is not None:
            steps.append({"op": "from_cost", "markup": self.markup})
        if self.percent is not None:
            steps.append({"op": "percent", "by": self.percent.removeprefix("+")})
        if self.amount is not None:
            steps.append({"op": "amount", "by": self.amount.removeprefix("+")})
        if self.ending:
            steps.append({"op": "ending", "endings": self.ending, "per": self.ending_per})
        if not steps and self.compare_at == "keep":
            raise CliError("say what changes: --set, --markup, --percent, --amount, --ending or --compare-at")
        return {"price": steps, "compare_at": _compare_at(self.compare_at)}

    def _guardrails(self) -> list[Rule]:
        given = (
            ("floor", "amount", self.floor),
            ("ceiling", "amount", self.ceiling),
            ("min_markup", "percent", self.min_markup),
            ("min_margin", "percent", self.min_margin),
            ("max_decrease", "percent", self.max_decrease),
            ("max_increase", "percent", self.max_increase),
        )
        return [_guardrail(rule, key, value) for rule, key, value in given if value is not None]


_DEFAULTS: Final[dict[str, object]] = {
    f.name: f.default if not callable(f.default_factory) else [] for f in fields(RuleOptions)
}


def read_rule(path: Path) -> dict[str, Json]:
    """Read a rule document. Raises CliError that names the file and what is wrong with it."""
    name = "standard input" if str(path) == "-" else str(path)
    try:
        text = Path("/dev/stdin").read_text("utf-8") if str(path) == "-" else path.read_text("utf-8")
        document = load_written(text)
    except OSError as error:
        raise CliError(f"--rule {name}: {error.strerror or error}") from error
    except (UnicodeDecodeError, JsonRefused) as error:
        raise CliError(f"--rule {name}: {error}") from error
    if not isinstance(document, dict):
        raise CliError(f"--rule {name}: must hold one JSON object with {', '.join(PARTS)}")
    unknown = sorted(set(document) - set(PARTS))
    missing = [part for part in ("selector", "transform") if part not in document]
    if unknown or missing:
        fault = f"does not know {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise CliError(f"--rule {name}: {fault}; it must hold selector, transform and, if wanted, guardrails")
    return {"guardrails": [], **document}


def _guardrail(rule: str, key: str, value: str) -> Rule:
    by_cost: Rule = {"if_missing": "skip"} if rule in {"min_markup", "min_margin"} else {}
    return {"id": rule.replace("_", "-"), "rule": rule, key: value, **by_cost}


def _compare_at(text: str) -> object:
    if text in {"keep", "clear"}:
        return text
    return {"set": "from_price"} if text == "old-price" else {"set": text}


def _flag(name: str) -> str:
    return {"set_to": "--set", "product_type": "--type"}.get(name, f"--{name.replace('_', '-')}")
