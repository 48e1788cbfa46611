"""Where a compiled plan reads its items from: one row for each product on one price list, as SQL expressions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import FromClause

from calibr.pricing.sql import Expr


@dataclass(frozen=True, slots=True)
class PlanSource:
    """The products of one price list, those without a price in force included.

    What is the same for all rows (price list, currency, names, time) is a value and not an expression, so that it is
    decided while compiling. Texts are in normal form and null where empty; `attributes` is a jsonb object that holds
    only texts in normal form and numbers of at most 15 significant digits; `unit_cost` is already null where the cost
    is in another currency; `valid_from` is null where there is no price in force.
    """

    rows: FromClause
    where: tuple[Expr, ...]
    price_list_id: Expr
    currency: str
    price_list_name: str | None
    connection_name: str | None
    computed_at: datetime
    product_id: Expr
    sku: Expr
    title: Expr
    vendor: Expr
    product_type: Expr
    status: Expr
    tags: Expr
    attributes: Expr
    unit_amount: Expr
    compare_at: Expr
    valid_from: Expr
    unit_cost: Expr
