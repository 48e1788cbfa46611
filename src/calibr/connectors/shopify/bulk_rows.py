"""The JSONL file of Shopify's bulk query, as staged catalog rows.

Variants stand anywhere in the file and name their product by `__parentId`. A line that is not JSON ends the ingest:
half a catalog would make the other half vanish.
"""
# ruff: noqa: S608 - only names and literals of this program stand in the statements

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import duckdb

from calibr.connectors.port import BasePriceList, CatalogFinding, CatalogStream
from calibr.connectors.port.odd_values import shown
from calibr.connectors.port.staging import RawCatalog, open_workspace, stage
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
_BLOCK: Final = 8 << 20
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE: Final = re.compile("[\ud800-\udfff]")
_RENAMED: Final = {"productType": "product_type", "selectedOptions": "attributes"}


def stream(
    path: Path, base_price_list: BasePriceList, work_dir: Path, *, expected_objects: int | None = None
) -> CatalogStream:
    """Read the file once and return its rows; temporary files go to `work_dir`.

    `expected_objects` is what Shopify says that the file holds. Raises Upstream `upstream.protocol` for a file that is
    not JSON lines, is cut off, or holds another number of objects. The file may be replaced by a readable copy.
    """
    lines, is_readable = _survey(path)
    if expected_objects is not None and lines != expected_objects:
        raise Upstream(
            "upstream.protocol",
            f"The catalog file of the store has {lines} objects instead of {expected_objects}.",
            retryable=True,
        )
    findings = [] if is_readable else _make_readable(path)
    workspace = open_workspace(work_dir)
    try:
        return stage(workspace, _raw(path), base_price_list, work_dir=work_dir, findings=findings)
    except duckdb.Error as err:
        workspace.close()
        reason = str(err).splitlines()[0].replace(str(path), path.name)
        raise Upstream("upstream.protocol", f"The catalog file of the store cannot be read: {reason}") from err
    except BaseException:
        workspace.close()
        raise


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


def _survey(path: Path) -> tuple[int, bool]:
    """Count the lines, and tell whether no text holds a lone surrogate, which only Python can read."""
    lines, is_readable = 0, True
    for block in _blocks(path):
        lines += block.count(b"\n")
        is_readable = is_readable and not (
            b"\\u" in block and _SURROGATE.search(block) and any(map(_cleaned, _split(block)))
        )
    return lines, is_readable


def _make_readable(path: Path) -> list[CatalogFinding]:
    """Put null in place of each text that holds a lone surrogate."""
    findings: list[CatalogFinding] = []
    copy = path.with_name(f"{path.name}.readable")
    with copy.open("wb") as target:
        for line in (line for block in _blocks(path) for line in _split(block)):
            cleaned = _cleaned(line)
            target.write((line if cleaned is None else cleaned[0]) + b"\n")
            findings.extend([] if cleaned is None else cleaned[1])
    copy.replace(path)
    return findings


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the file in blocks of whole lines, each ended by a line feed."""
    with path.open("rb", 0) as file:
        rest = b""
        while block := file.read(_BLOCK):
            cut = block.rfind(b"\n") + 1
            if cut:
                yield rest + block[:cut]
            rest = block[cut:] if cut else rest + block
    if rest:
        yield rest + b"\n"


def _split(block: bytes) -> list[bytes]:
    return block.removesuffix(b"\n").split(b"\n")


def _cleaned(line: bytes) -> tuple[bytes, list[CatalogFinding]] | None:
    """Return the line without what cannot be read and what that was; None if it can stay as it is."""
    if not _SURROGATE.search(line):
        return None
    try:
        parsed = json.loads(line)
    except ValueError:
        return None  # DuckDB refuses it, and says where
    texts: list[tuple[str, str]] = []
    cleaned = {key: _without_lone(value, key, texts) for key, value in parsed.items()}
    if not texts:
        return None
    who = str(parsed.get("id", "")).rpartition("/")[2]
    rule = "it holds a lone surrogate"
    found = [CatalogFinding(shown(who), _RENAMED.get(key, key), shown(text), rule) for key, text in texts]
    return json.dumps(cleaned).encode(), found


def _without_lone(value: Any, key: str, texts: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str) and _LONE.search(value):
        texts.append((key, value))
        return None
    if isinstance(value, list):
        return [_without_lone(each, key, texts) for each in value]
    if isinstance(value, dict):
        return {name: _without_lone(each, key, texts) for name, each in value.items()}
    return value
