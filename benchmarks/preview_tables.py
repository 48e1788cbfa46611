"""The catalog that `preview.py` measures on, its rule, and the same rule as an expert would write it by hand in SQL."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import psycopg

RULE: Final[Mapping[str, Any]] = {
    "selector": {"all": []},
    "transform": {
        "price": [
            {"op": "percent", "by": "-10"},
            {"op": "ending", "endings": ["0.99"], "per": "1.00"},
        ],
        "compare_at": {"set": "from_price"},
    },
    "guardrails": [
        {"id": "cost", "rule": "min_markup", "percent": "15", "if_missing": "skip"},
        {"id": "drop", "rule": "max_decrease", "percent": "12", "action": "block"},
    ],
}
"""-10 %, ending .99, 15 % above cost where it is known, never more than 12 % down; compare-at is the old price."""

# One in ten has no cost, one in fifty no price in force; prices from 3 to 303 dollars. Ids grow, as ingest makes them.
_FILL: Final = (
    "insert into calibr.tenant(tenant_id, name) values (%(tenant)s, 'bench')",
    "insert into calibr.tenant_directory(tenant_id) values (%(tenant)s)",
    "insert into calibr.tenant_head(tenant_id) values (%(tenant)s)",
    "insert into calibr.app_user(tenant_id, id, name, role) values (%(tenant)s, %(author)s, 'Ada', 'author')",
    """insert into calibr.connection(tenant_id, id, kind, name, name_norm, unidata_version)
       values (%(tenant)s, %(connection)s, 'shopify', 'Shop', 'shop', %(unidata)s)""",
    """insert into calibr.price_list(tenant_id, id, connection_id, name, name_norm, currency, is_base)
       values (%(tenant)s, %(list)s, %(connection)s, 'Base', 'base', 'USD', true)""",
    "create temporary table made as select uuidv7() as id, n from generate_series(1, %(rows)s) n order by n",
    """insert into calibr.product(tenant_id, id, sku, title, vendor, product_type, status, tags, attributes, sku_norm,
         title_norm, vendor_norm, product_type_norm, status_norm, tags_norm, attributes_norm)
       select %(tenant)s, id, 'SKU-' || n, 'Product ' || n || ' in blue', 'Vendor ' || n %% 40, 'Type ' || n %% 12,
         'active', t.tags, a.attributes, 'sku-' || n, 'product ' || n || ' in blue', 'vendor ' || n %% 40,
         'type ' || n %% 12, 'active', t.tags, a.attributes
       from made cross join lateral (select array['sale', 'tag ' || n %% 25]) t(tags)
         cross join lateral (select jsonb_build_object('option.Size', n %% 6, 'season', 'summer')) a(attributes)""",
    """insert into calibr.listing(tenant_id, connection_id, external_id, product_id, group_external_id)
       select %(tenant)s, %(connection)s, n::text, id, (n / 4)::text from made""",
    """insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, compare_at, source)
       select %(tenant)s, id, %(list)s, 'USD', 300 + hashint4(n) %% 15000 + 15000, null, 'ingest' from made
       where n %% 50 <> 0""",
    """insert into calibr.product_cost(tenant_id, product_id, currency, unit_cost)
       select %(tenant)s, id, 'USD', 100 + (hashint4(n) %% 15000 + 15000) * 3 / 4 from made where n %% 10 <> 0""",
    "drop table made",
)

_SOURCE: Final = """
  calibr.product p
  left join calibr.price_version v on v.tenant_id = p.tenant_id and v.product_id = p.id
    and v.price_list_id = %(list)s and v.valid_to is null
  left join calibr.product_cost k on k.tenant_id = p.tenant_id and k.product_id = p.id
    and k.currency = 'USD' and k.valid_to is null
  where p.tenant_id = %(tenant)s and p.active
"""

SCRATCH: Final = """
  create schema if not exists bench;
  drop table if exists bench.heap;
  create table bench.heap (like calibr.price_change_item including defaults)
"""

BARE_JOIN: Final = f"select count(*), sum(v.unit_amount + k.unit_cost) from {_SOURCE}"

# By hand: `v1` after the percent, `v2` with the ending, `low` the bound by cost, `v3` clamped, `v4` rounded up again.
HAND_WRITTEN: Final = f"""
  insert into bench.heap(tenant_id, change_id, price_list_id, product_id, currency, before_amount, before_compare_at,
    after_amount, after_compare_at, verdict, reason, binding, violated, trace, state)
  select %(tenant)s, %(change)s, %(list)s, id, 'USD', before, in_force,
    case when why is null then v4 else before end,
    case when why is null and v4 < before then before when why is null and in_force <= v4 then null else in_force end,
    case when why is not null then 'blocked'
         when v4 = before and in_force is not distinct from
              case when v4 < before then before when in_force <= v4 then null else in_force end then 'unchanged'
         when v3 <> v2 then 'clamped' else 'changed' end,
    why,
    case when why = 'guardrail' then 'drop' when why is null and v3 <> v2 then 'cost' end,
    null, array[cost, v1, v2, v3, v4],
    case when why is not null then 'skipped'
         when v4 = before and in_force is not distinct from
              case when v4 < before then before when in_force <= v4 then null else in_force end then 'skipped'
         else 'pending' end
  from (
    select *,
      case when before is null then 'missing_price' when v2 < (before * 88 + 99) / 100 then 'guardrail' end as why,
      case when v3 > v2 then (v3 + 100) / 100 * 100 - 1 else v3 end as v4
    from (
      select *, greatest(v2, (cost * 115 + 99) / 100) as v3
      from (
        select *, greatest(99, (v1 + 51) / 100 * 100 - 1) as v2
        from (
          select p.id, v.unit_amount as before, v.compare_at as in_force, k.unit_cost as cost,
            (v.unit_amount * 9 + 5) / 10 as v1
          from {_SOURCE} offset 0) a offset 0) b offset 0) c offset 0) d
"""

# Rows that the two do not agree on. Traces are left out: those of blocked rows may differ.
_COMPARED: Final = (
    "product_id, price_list_id, currency, before_amount, before_compare_at, after_amount, after_compare_at, verdict, "
    "reason, binding, violated, state"
)
_OURS: Final = f"select {_COMPARED} from calibr.price_change_item where change_id = %(ours)s"
_THEIRS: Final = f"select {_COMPARED} from bench.heap"
DIFFERENCES: Final = f"select count(*) from (({_THEIRS} except {_OURS}) union all ({_OURS} except {_THEIRS})) differing"


def fill_tenant(admin: psycopg.Connection, names: Mapping[str, str | int | UUID]) -> None:
    """Make a tenant with one store and `rows` products; `names` has tenant, author, connection, list, rows, unidata."""
    with admin.transaction():
        for statement in _FILL:
            admin.execute(statement, names)
    admin.execute("vacuum analyze calibr.product, calibr.price_version, calibr.product_cost, calibr.listing")
