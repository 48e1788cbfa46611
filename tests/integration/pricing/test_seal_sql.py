"""Rows and leaf hashes that PostgreSQL computes are those that Python computes."""

from hypothesis import given, settings
from rule_pool import Pool
from rule_strategies import RandomRules, random_rules
from sqlalchemy import select

from calibr.pricing import PlanItem, canonical_row, canonical_row_sql, compile_plan, leaf_hash, leaf_hash_sql


@settings(max_examples=settings.default.max_examples // 4)
@given(random=random_rules())
def test_rows_and_leaves_are_the_same_set_based(pool: Pool, random: RandomRules) -> None:
    rules = random.bind()
    plan = compile_plan(rules, pool.source(rules.currency)).items.subquery("plan")
    query = select(*plan.c, canonical_row_sql(plan.c).label("row"), leaf_hash_sql(plan.c).label("leaf"))

    for found in pool.session.execute(query).mappings():
        item = PlanItem(**{name: found[name] for name in PlanItem.__slots__ if name != "trace"}, trace=())

        assert found["row"].encode() == canonical_row(item)
        assert found["leaf"] == leaf_hash(canonical_row(item))
