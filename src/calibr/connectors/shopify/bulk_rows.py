"""The JSONL file of Shopify's bulk query, as staged catalog rows.

Variants and collections stand anywhere in the file and name their product by `__parentId`. A line that is not JSON ends
the ingest: half a catalog would make the other half vanish.
"""
# ruff: noqa: S608 - only names and literals of this program stand in the statements

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb

from calibr.connectors.port import BasePriceList, CatalogFinding, CatalogStream
from calibr.connectors.port.staging import RawCatalog, StagedCatalog, open_workspace, stage
from calibr.connectors.shopify.bulk_repair import make_readable
from calibr.connectors.shopify.metafields import NO_METAFIELDS, Metafields, alias, attribute
from calibr.core.errors import Upstream

_PRODUCT_FIELDS: Final = {
    "id": "varchar", "title": "varchar", "vendor": "varchar", "productType": "varchar", "status": "varchar",
    "tags": "varchar[]", "__parentId": "varchar",
}  # fmt: skip
_COLLECTION_FIELDS: Final = {"id": "varchar", "handle": "varchar", "title": "varchar", "__parentId": "varchar"}
_ATTRIBUTES: Final = "struct(name varchar, text_value varchar, number_value varchar)[]"
_METAFIELD: Final = "struct(type varchar, value varchar)"
_VARIANT_FIELDS: Final = {
    "id": "varchar", "sku": "varchar", "price": "varchar", "compareAtPrice": "varchar", "position": "bigint",
    "selectedOptions": "struct(name varchar, value varchar)[]",
    "inventoryItem": "struct(unitCost struct(amount varchar, currencyCode varchar))", "__parentId": "varchar",
}  # fmt: skip

_OPTIONS: Final = """list_transform(
    list_filter(selectedOptions, lambda o: o.value is not null and (o.name <> 'Title' or o.value <> 'Default Title')),
    lambda o: {'name': 'option.' || o.name, 'text_value': o.value, 'number_value': null::varchar})"""
"""Shopify gives a product without options one option with one value, which says nothing."""

_IS_COLLECTION: Final = "starts_with(id, 'gid://shopify/Collection/')"
_NUMBERS: Final = "('number_integer', 'number_decimal')"
_AS_NUMBER: Final = r"regexp_full_match({0}.value, '-?(0|[1-9][0-9]*)(\.[0-9]+)?') and {0}.type in " + _NUMBERS

_LARGEST_LINE: Final = 4 << 20
_UNREADABLE: Final = (duckdb.InvalidInputException, duckdb.ConversionException)


def stream(
    path: Path,
    base_price_list: BasePriceList,
    work_dir: Path,
    *,
    expected_objects: int | None = None,
    metafields: Metafields = NO_METAFIELDS,
) -> CatalogStream:
    """Read the file once and return its rows; temporary files go to `work_dir`.

    `expected_objects` is what Shopify says that the file holds. Raises Upstream `upstream.protocol` for a file that is
    not JSON lines, is cut off, or holds another number of objects. The file may be replaced by a readable copy.
    `metafields` are those that the query asked for.
    """
    raw = _raw(path, metafields)
    try:
        staged = _stage(raw, base_price_list, work_dir, ())
    except _UNREADABLE as error:
        findings = make_readable(path)
        if not findings:
            raise _refused(path, error) from error
        try:
            staged = _stage(raw, base_price_list, work_dir, findings)
        except _UNREADABLE as other:
            raise _refused(path, other) from other
    if expected_objects is not None and (found := staged.rows_read + _count_collections(path)) != expected_objects:
        staged.close()
        said = f"has {found} objects instead of {expected_objects}"
        raise Upstream("upstream.protocol", f"The catalog file of the store {said}.", retryable=True)
    return staged


def _stage(
    raw: RawCatalog, base_price_list: BasePriceList, work_dir: Path, findings: Sequence[CatalogFinding]
) -> StagedCatalog:
    workspace = open_workspace(work_dir)
    try:
        return stage(workspace, raw, base_price_list, work_dir=work_dir, findings=findings)
    except BaseException:
        workspace.close()
        raise


def _refused(path: Path, error: duckdb.Error) -> Upstream:
    reason = str(error).splitlines()[0].replace(str(path), path.name)
    return Upstream("upstream.protocol", f"The catalog file of the store cannot be read: {reason}")


def _raw(path: Path, metafields: Metafields) -> RawCatalog:
    product, variant, parent = _tail("id", "Product"), _tail("id", "ProductVariant"), _tail("__parentId", "Product")
    products = _lines(path, _PRODUCT_FIELDS | _asked(metafields.product))
    variants = _lines(path, _VARIANT_FIELDS | _asked(metafields.variant))
    collections = f"""select __parentId as parent, list({{'name': 'collection.' || handle, 'text_value': title,
        'number_value': null::varchar}} order by handle) as collections
      from {_lines(path, _COLLECTION_FIELDS)} where {_IS_COLLECTION} and handle is not null group by __parentId"""
    of_group = f"list_concat(coalesce(collections, []), {_attributes(metafields.product)})"
    return RawCatalog(
        groups=f"""select {product} as group_external_id, try_cast({product} as bigint) as ordinal,
            title, vendor, productType as product_type, status, tags, {of_group} as attributes
          from (from {products} where __parentId is null) p left join ({collections}) c on c.parent = p.id""",
        listings=f"""select {variant} as external_id, {parent} as group_external_id, position as ordinal,
            sku, list_concat({_OPTIONS}, {_attributes(metafields.variant)}) as attributes,
            price as unit_amount, compareAtPrice as compare_at,
            inventoryItem.unitCost.amount as unit_cost, inventoryItem.unitCost.currencyCode as cost_currency
          from {variants} where __parentId is not null and not coalesce({_IS_COLLECTION}, false)""",
    )


def _count_collections(path: Path) -> int:
    query = f"select count(*) from {_lines(path, _COLLECTION_FIELDS)} where {_IS_COLLECTION}"
    with duckdb.connect(":memory:") as workspace:
        rows: list[tuple[int]] = workspace.execute(query).fetchall()
    return rows[0][0]


def _asked(names: Sequence[str]) -> dict[str, str]:
    return {alias(place): _METAFIELD for place in range(len(names))}


def _attributes(names: Sequence[str]) -> str:
    """The metafields that are there, as attributes: numbers as such, all else as the text that the store shows."""
    each = (
        f"{{'name': '{attribute(name)}',"
        f" 'text_value': case when not ({_AS_NUMBER.format(alias(place))}) then {alias(place)}.value end,"
        f" 'number_value': case when {_AS_NUMBER.format(alias(place))} then {alias(place)}.value end}}"
        for place, name in enumerate(names)
    )
    return f"list_filter([{', '.join(each)}]::{_ATTRIBUTES}, lambda a: coalesce(a.text_value, a.number_value) <> '')"


def _tail(column: str, kind: str) -> str:
    """The short id of a global id; null if it does not name a `kind`."""
    return f"nullif(regexp_extract({column}, '^gid://shopify/{kind}/([1-9][0-9]{{0,18}})$', 1), '')"


def _lines(path: Path, fields: dict[str, str]) -> str:
    quoted = str(path).replace("'", "''")
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in fields.items())
    return f"read_ndjson('{quoted}', columns = {{{columns}}}, maximum_object_size = {_LARGEST_LINE})"
