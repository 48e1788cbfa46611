"""The statements of staging, in the order in which they run.

Tables: finding, raw_group, odd, odd_refused, staged_group, staged.
"""
# ruff: noqa: S608 - only names and literals of this program stand in the statements

from typing import Final

from calibr.connectors.port import STAGE_COLUMNS
from calibr.connectors.port.staging_sql import amount_rule, fingerprint, minor, minor_by_currency, usable_key

ROWS_PER_RANGE: Final = 100_000
MAX_RANGES: Final = 16
FINDINGS_PER_RULE: Final = 1_000
MAX_FINDINGS: Final = 10_000

_GROUP_TEXTS: Final = ("title", "vendor", "product_type", "status")
_LISTING_COLUMNS: Final = (
    "external_id", "sku", "sku_norm", "attributes", "attributes_norm", "unit_amount", "compare_at", "cost_currency",
    "unit_cost",
)  # fmt: skip
_ATTRIBUTES: Final = "struct(name varchar, text_value varchar, number_value varchar)[]"
_UNUSABLE: Final = "must be present, of at most 255 characters and without U+0000; the row is left out"
_REPEATED: Final = "must be unique in the catalog; the first one is kept"
_ORPHAN: Final = "must name a group of the catalog; the listing is left out"

FINDING_TABLE: Final = "create table finding(external_id varchar, field varchar, value varchar, rule varchar)"


def read_groups(query: str) -> str:
    """Keep the groups as they are, with their tags and attributes as JSON where one is odd."""
    no_attributes = f"select null::{_ATTRIBUTES} as attributes where false"
    return f"""create table raw_group as select *,
      case when len(list_filter(tags, lambda t: is_odd(t))) > 0 then to_json(tags)::varchar end as odd_tags,
      case when has_odd_attribute(attributes) then attributes_key(attributes) end as odd_attributes
      from (({query}) union all by name ({no_attributes})) q"""


def findings_of_groups() -> tuple[str, ...]:
    """Note ids of groups that cannot be used or repeat; then remove the repetitions."""
    return (_unusable("raw_group", "group_external_id"), *_repeated("raw_group", "group_external_id", "t.rowid"))


def odd_values_of_groups() -> tuple[tuple[str, str], ...]:
    """The odd values of each kind, for `treat_odd_values`."""
    texts = " union all ".join(f"select {each} from raw_group where is_odd({each})" for each in _GROUP_TEXTS)
    attributes = "select odd_attributes from raw_group"
    return (("text", texts), ("tags", "select odd_tags from raw_group"), ("group_attributes", attributes))


def staged_groups() -> str:
    """Number the groups in their order, with both forms of their texts and a fingerprint of them."""
    texts = ", ".join(
        f"case when {t}.value is null then g.{t} else {t}.kept end as {t},"
        f" case when {t}.value is null then folded(g.{t}) else {t}.normal end as {t}_norm"
        for t in _GROUP_TEXTS
    )
    joins = " ".join(
        f"left join (from odd where kind = 'text') {each} on {each}.value = g.{each}" for each in _GROUP_TEXTS
    )
    both_forms = [f"{each}{form}" for each in (*_GROUP_TEXTS, "tags", "group_attributes") for form in ("", "_norm")]
    print_ = fingerprint("group_external_id", *both_forms)
    return f"""create table staged_group as select row_number() over () as rank, *, {print_} as group_print from (
      select g.group_external_id, {texts},
        coalesce(tags.kept, array_literal(g.tags), '{{}}') as tags,
        coalesce(tags.normal, array_literal(list_transform(g.tags, lambda t: folded(t))), '{{}}') as tags_norm,
        coalesce(a.kept, attributes_json(g.attributes), '{{}}') as group_attributes,
        coalesce(a.normal, folded_json(g.attributes), '{{}}') as group_attributes_norm
      from raw_group g {joins} left join (from odd where kind = 'tags') tags on tags.value = g.odd_tags
      left join (from odd where kind = 'group_attributes') a on a.value = g.odd_attributes
      where {usable_key("g.group_external_id")}
      order by g.ordinal nulls last, g.group_external_id) q"""


def read_listings(query: str, currency: str) -> str:
    """Keep the listings with the number of their group: amounts as integers, what is refused or odd as it was."""
    return f"""create table staged as select g.rank, l.ordinal, l.external_id, l.group_external_id, l.sku,
      case when not is_odd_list then attributes_json(l.attributes) end as attributes,
      case when not is_odd_list then folded_json(l.attributes) end as attributes_norm,
      case when is_odd_list then attributes_key(l.attributes) end as odd_attributes,
      unit_minor as unit_amount, case when unit_minor is null then l.unit_amount end as refused_unit_amount,
      compare_minor as compare_at, case when compare_minor is null then l.compare_at end as refused_compare_at,
      cost_minor as unit_cost, case when cost_minor is null then l.unit_cost end as refused_unit_cost,
      case when l.unit_cost is not null then l.cost_currency end as cost_currency
      from (select *, has_odd_attribute(attributes) as is_odd_list, {minor("unit_amount", currency)} as unit_minor,
              {minor("compare_at", currency)} as compare_minor,
              {minor_by_currency("unit_cost", "cost_currency", currency)} as cost_minor
            from ({query}) q) l
      left join staged_group g on g.group_external_id = l.group_external_id"""


def findings_of_listings(currency: str) -> tuple[str, ...]:
    """Note refused amounts, and listings whose id cannot be used or repeats or whose group is absent; remove those.

    Of those that repeat, the first in the order of the catalog is kept, and always the same one.
    """
    tie = "rank, ordinal nulls last, sku, unit_amount, compare_at, unit_cost, attributes"
    amounts = (("unit_amount", f"'{currency}'"), ("compare_at", f"'{currency}'"), ("unit_cost", "cost_currency"))
    return (
        _unusable("staged", "external_id"),
        f"""insert into finding select external_id, 'group_external_id', group_external_id, '{_ORPHAN}' from staged
          where rank is null and {usable_key("external_id")}""",
        f"delete from staged where rank is null or not coalesce({usable_key('external_id')}, false)",
        *_repeated("staged", "external_id", tie),
        *(
            f"""insert into finding
              select external_id, '{field}', refused_{field}, {amount_rule(f"refused_{field}", of)}
              from staged where refused_{field} is not null"""
            for field, of in amounts
        ),
    )


def odd_values_of_listings() -> tuple[tuple[str, str], ...]:
    """The odd values of each kind, for `treat_odd_values`."""
    return (
        ("key", "select sku from staged where is_odd_key(sku)"),
        ("attributes", "select odd_attributes from staged"),
    )


def findings_of_odd_values() -> tuple[str, ...]:
    """Note the parts of odd values that were refused."""
    return (
        *(_refused("text", "raw_group", "group_external_id", (field, field)) for field in _GROUP_TEXTS),
        _refused("tags", "raw_group", "group_external_id", ("tags", "odd_tags")),
        _refused("group_attributes", "raw_group", "group_external_id", ("attributes", "odd_attributes")),
        _refused("key", "staged", "external_id", ("sku", "sku")),
        _refused("attributes", "staged", "external_id", ("attributes", "odd_attributes")),
    )


RANGES: Final = f"""select min(rank), max(rank) from (
    select rank, (sum(listings) over (order by rank) - 1) // greatest({ROWS_PER_RANGE}, total // {MAX_RANGES}) as part
    from (select rank, count(*) as listings, sum(count(*)) over () as total from staged group by rank) c) p
  group by part order by 1"""
"""Ranges of whole groups. Each is sorted by itself, which is cheaper than to sort everything, and costs a scan."""

FINDINGS: Final = f"""select external_id, field, value, rule, total from (
    select *, row_number() over (partition by field, rule order by external_id, value) as place,
      count(*) over (partition by field, rule) as total from finding) f
  where place <= {FINDINGS_PER_RULE} order by field, rule, place limit {MAX_FINDINGS}"""


def rows_of(first: int, last: int) -> str:
    """The staged rows of a range of groups, odd values replaced. Both tables are cut before they are joined."""
    of_listing = {*_LISTING_COLUMNS, "fingerprint"}
    merged = {each: f"merged_json(g.group_{each}, l.{each})" for each in ("attributes", "attributes_norm")}
    plain = {column: f"{'l' if column in of_listing else 'g'}.{column}" for column in STAGE_COLUMNS}
    columns = ", ".join(f"{expression} as {column}" for column, expression in (plain | merged).items())
    print_ = fingerprint("group_print", "sku", "sku_norm", "attributes", "attributes_norm")
    return f"""select {columns} from (
        select *, {print_} as fingerprint from (
          select s.rank, s.ordinal, c.group_print, s.external_id,
            case when k.value is null then s.sku else k.kept end as sku,
            case when k.value is null then folded(s.sku) else k.normal end as sku_norm,
            coalesce(a.kept, s.attributes, '{{}}') as attributes,
            coalesce(a.normal, s.attributes_norm, '{{}}') as attributes_norm, s.unit_amount, s.compare_at,
            case when s.unit_cost is not null then s.cost_currency end as cost_currency, s.unit_cost
          from staged s join staged_group c on c.rank = s.rank
          left join (from odd where kind = 'key') k on k.value = s.sku
          left join (from odd where kind = 'attributes') a on a.value = s.odd_attributes
          where s.rank between {first} and {last} and c.rank between {first} and {last}) q) l
      join staged_group g on g.rank = l.rank
      where g.rank between {first} and {last}
      order by l.rank, l.ordinal nulls last, l.external_id"""


def _unusable(table: str, column: str) -> str:
    return f"""insert into finding select coalesce({column}, ''), '{column}', {column}, '{_UNUSABLE}' from {table}
      where not coalesce({usable_key(column)}, false)"""


def _repeated(table: str, column: str, order: str) -> tuple[str, ...]:
    """First count, which is cheap; only what repeats is looked at row by row."""
    return (
        f"""create or replace temp table repeated as select {column} as id from {table}
            where {usable_key(column)} group by 1 having count(*) > 1""",
        f"""create or replace temp table surplus as select row, id from (
              select t.rowid as row, r.id, row_number() over (partition by r.id order by {order}) as place
              from {table} t join repeated r on r.id = t.{column}) q
            where place > 1""",
        f"insert into finding select id, '{column}', id, '{_REPEATED}' from surplus",
        f"delete from {table} where rowid in (select row from surplus)",
    )


def _refused(kind: str, table: str, who: str, names: tuple[str, str]) -> str:
    field, column = names
    return f"""insert into finding
      select t.{who}, '{field}' || case when r.name <> '' then '.' || r.name else '' end, r.shown, r.rule
      from {table} t join (from odd_refused where kind = '{kind}') r on r.value = t.{column}
      where {usable_key("t." + who)}"""
