"""The shape of compiled statements: levels that stay apart, and documents as large as the limits allow."""

import re
from typing import Any

import pytest
from rule_pool import Pool
from rule_strategies import RandomRules
from sqlalchemy import Select, func, select, text
from sqlalchemy.dialects.postgresql import psycopg

from calibr.pricing import compile_plan

FIVE_LEVELS = RandomRules(
    "USD",
    (
        {"all": []},
        {
            "price": [{"op": "percent", "by": "-10"}, {"op": "ending", "endings": ["0.99"], "per": "1"}],
            "compare_at": {"set": "from_price"},
        },
        [
            {"id": "markup", "rule": "min_markup", "percent": "20", "if_missing": "skip"},
            {"id": "drop", "rule": "max_decrease", "percent": "30"},
        ],
    ),
)


def query_plan(pool: Pool, statement: Select[Any]) -> str:
    compiled = statement.compile(dialect=psycopg.dialect(), compile_kwargs={"literal_binds": True})
    rows = pool.session.execute(text("explain (costs off) " + str(compiled).replace("%%", "%").replace(":", r"\:")))
    return "\n".join(str(line) for (line,) in rows)


@pytest.mark.parametrize("name", ["items", "summary"])
def test_the_levels_of_a_statement_are_not_merged(pool: Pool, name: str) -> None:
    statement = getattr(compile_plan(FIVE_LEVELS.bind(), pool.source("USD")), name)
    levels = set(re.findall(r"AS (level_\d)\b", str(statement.compile(dialect=psycopg.dialect()))))

    plan = query_plan(pool, statement)

    assert len(levels) >= 5
    assert plan.count("Subquery Scan on level_") == len(levels) - 1 + (name == "items")


def test_a_plan_costs_no_level_for_what_its_rules_do_not_say(pool: Pool) -> None:
    keep = RandomRules("USD", ({"all": []}, {"price": []}, [])).bind()

    statement = str(compile_plan(keep, pool.source("USD")).items.compile(dialect=psycopg.dialect()))

    assert "WHERE" not in statement
    assert statement.count("OFFSET") <= 2


def test_a_hundred_thousand_skus_are_looked_up_and_not_compared_one_by_one(pool: Pool) -> None:
    skus = [f"sku-{number}" for number in range(99_999)] + ["A-1"]
    rules = RandomRules("USD", ({"skus": skus}, {"price": []}, [])).bind()

    with_skus = pool.session.execute(compile_plan(rules, pool.source("USD")).counts).mappings().one()

    assert with_skus["selected"] == sum(item.sku == "a-1" for item in pool.items.values()) > 0


def test_documents_as_large_as_the_limits_allow_compile_and_run(pool: Pool) -> None:
    leaves = [{"field": "product.title", "op": "contains", "value": f"w{number}"} for number in range(498)]
    steps = [{"op": "percent", "by": f"0.{number + 1}"} for number in range(19)]
    endings = [f"0.{number:02}" for number in range(100)]
    cases = [
        {
            "when": {"field": "price.unit_amount", "op": "lt", "value": f"{number * 20}"},
            "price": [
                {"op": "amount", "by": f"0.{number:02}"},
                *steps[1:],
                {"op": "ending", "endings": endings, "per": "1"},
            ],
            "compare_at": {"percent_above": f"{number + 1}"},
        }
        for number in range(50)
    ]
    guardrails = [
        {"id": f"g{number}", "rule": rule, "percent": f"{number}.5", "if_missing": "skip", "action": action}
        for number, (rule, action) in enumerate(
            (("max_increase", "block"), ("min_margin", "clamp"), ("min_markup", "clamp"), ("max_increase", "clamp"))
            * 12
        )
    ]
    large = RandomRules("USD", ({"not": {"any": leaves}}, {"cases": cases}, guardrails)).bind()
    plan = compile_plan(large, pool.source("USD"))

    rows = pool.session.execute(select(func.count()).select_from(plan.items.subquery())).scalar_one()

    summary = pool.session.execute(plan.summary).mappings().one()
    assert rows == summary["items"] > 0
    assert summary["selected"] - summary["left"] == rows
