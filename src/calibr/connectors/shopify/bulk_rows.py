"""The JSONL file of Shopify's bulk query, as staged catalog rows.

Variants stand anywhere in the file and name their product by `__parentId`. A line that is not JSON ends the ingest:
half a catalog would make the other half vanish.
"""
# ruff: noqa: S608 - only names and literals of this program stand in the statements

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb

from calibr.connectors.port import BasePriceList, CatalogFinding, CatalogStream
from calibr.connectors.port.staging import RawCatalog, StagedCatalog, open_workspace, stage
from calibr.connectors.shopify.bulk_repair import make_readable
from calibr.core.errors import Upstream

_PRODUCT_FIELDS: Final = {
    "id": "varchar", "title": "varchar", "vendor": "varchar", "productType": "varchar", "status": "varchar",
    "tags": "varchar[]", "__parentId": "varchar",
}  # fmt: skip
_VARIANT_FIELDS: Final = {
    "id": "varchar", "sku": "varchar", "price": "varchar", "compareAtPrice": "varchar", "position": "bigint",
    "selectedOptions": "struct(name varchar, value varchar)[]",
    "inventoryItem": "struct(unitCost struct(amount varchar, currencyCode varchar))", "__parentId": "varchar",
}  # fmt: skip

_ATTRIBUTES: Final = """list_transform(
    list_filter(selectedOptions, lambda o: o.value is not null and (o.name <> 'Title' or o.value <> 'Default Title')),
    lambda o: {'name': 'option.' || o.name, 'text_value': o.value, 'number_value': null::varchar})"""
"""Shopify gives a product without options one option with one value, which says nothing."""

_LARGEST_LINE: Final = 4 << 20
_UNREADABLE: Final = (duckdb.InvalidInputException, duckdb.ConversionException)


def stream(
    path: Path, base_price_list: BasePriceList, work_dir: Path, *, expected_objects: int | None = None
) -> CatalogStream:
    """Read the file once and return its rows; temporary files go to `work_dir`.

    `expected_objects` is what Shopify says that the file holds. Raises Upstream `upstream.protocol` for a file that is
    not JSON lines, is cut off, or holds another number of objects. The file may be replaced by a readable copy.
    """
    try:
        staged = _stage(path, base_price_list, work_dir, ())
    except _UNREADABLE as error:
        findings = make_readable(path)
        if not findings:
            raise _refused(path, error) from error
        try:
            staged = _stage(path, base_price_list, work_dir, findings)
        except _UNREADABLE as other:
            raise _refused(path, other) from other
    if expected_objects is not None and staged.rows_read != expected_objects:
        staged.close()
        said = f"has {staged.rows_read} objects instead of {expected_objects}"
        raise Upstream("upstream.protocol", f"The catalog file of the store {said}.", retryable=True)
    return staged


def _stage(
    path: Path, base_price_list: BasePriceList, work_dir: Path, findings: Sequence[CatalogFinding]
) -> StagedCatalog:
    workspace = open_workspace(work_dir)
    try:
        return stage(workspace, _raw(path), base_price_list, work_dir=work_dir, findings=findings)
    except BaseException:
        workspace.close()
        raise


def _refused(path: Path, error: duckdb.Error) -> Upstream:
    reason = str(error).splitlines()[0].replace(str(path), path.name)
    return Upstream("upstream.protocol", f"The catalog file of the store cannot be read: {reason}")


def _raw(path: Path) -> RawCatalog:
    product, variant, parent = _tail("id", "Product"), _tail("id", "ProductVariant"), _tail("__parentId", "Product")
    return RawCatalog(
        groups=f"""select {product} as group_external_id, try_cast({product} as bigint) as ordinal,
            title, vendor, productType as product_type, status, tags
          from {_lines(path, _PRODUCT_FIELDS)} where __parentId is null""",
        listings=f"""select {variant} as external_id, {parent} as group_external_id, position as ordinal,
            sku, {_ATTRIBUTES} as attributes, price as unit_amount, compareAtPrice as compare_at,
            inventoryItem.unitCost.amount as unit_cost, inventoryItem.unitCost.currencyCode as cost_currency
          from {_lines(path, _VARIANT_FIELDS)} where __parentId is not null""",
    )


def _tail(column: str, kind: str) -> str:
    """The short id of a global id; null if it does not name a `kind`."""
    return f"nullif(regexp_extract({column}, '^gid://shopify/{kind}/([1-9][0-9]{{0,18}})$', 1), '')"


def _lines(path: Path, fields: dict[str, str]) -> str:
    quoted = str(path).replace("'", "''")
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in fields.items())
    return f"read_ndjson('{quoted}', columns = {{{columns}}}, maximum_object_size = {_LARGEST_LINE})"
