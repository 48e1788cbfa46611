"""A bulk file becomes the rows that a plain loop over its lines would make, and each refused value a finding."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibr.connectors.port import STAGE_COLUMNS, BasePriceList, CatalogFinding
from calibr.connectors.port import staging_statements as statements
from calibr.connectors.shopify import bulk_rows
from calibr.connectors.shopify.metafields import Metafields
from calibr.core.currencies import MINOR_UNITS
from calibr.core.errors import Upstream
from calibr.core.money import AmountFault, Written, read_written, to_minor
from calibr.core.text import normalize

Line = dict[str, Any]
Row = dict[str, str | None]
Read = tuple[list[Row], list[CatalogFinding]]


FINGERPRINTED = [
    name for name in STAGE_COLUMNS[1:-1] if name not in {"unit_amount", "compare_at", "unit_cost", "cost_currency"}
]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Read]:
    return lambda lines, currency="USD", **asked: read_lines(tmp_path, lines, currency, **asked)


def read_lines(work_dir: Path, lines: list[Line] | bytes, currency: str = "USD", **asked: Any) -> Read:  # noqa: ANN401
    path = work_dir / "bulk.jsonl"
    path.write_bytes(
        lines if isinstance(lines, bytes) else b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    )
    stream = bulk_rows.stream(path, BasePriceList("Base prices", currency), work_dir, **asked)
    try:
        rows = [dict(zip(STAGE_COLUMNS, row, strict=True)) for row in parse_csv(b"".join(stream.chunks()).decode())]
        assert stream.rows_total == len(rows)
        return rows, list(stream.findings())
    finally:
        stream.close()


def parse_csv(text: str) -> Iterator[list[str | None]]:
    """CSV as PostgreSQL reads it: nothing between two commas is null, a quoted nothing is an empty text."""
    row: list[str | None] = []
    at = 0
    while at < len(text):
        if text[at] == '"':
            end = at + 1
            while text[end] != '"' or text[end : end + 2] == '""':
                end += 2 if text[end] == '"' else 1
            row.append(text[at + 1 : end].replace('""', '"'))
            at = end + 1
        else:
            end = min(i for i in (text.find(",", at), text.find("\n", at), len(text)) if i >= 0)
            row.append(text[at:end] or None)
            at = end
        if text[at] == "\n":
            yield row
            row = []
        at += 1


def product_line(number: int, **fields: object) -> Line:
    texts = {"title": f"Product {number}", "vendor": "Acme", "productType": "Shirt", "status": "ACTIVE"}
    return {"id": f"gid://shopify/Product/{number}", "tags": [], **texts, **fields}


def variant_line(number: int, parent: int, **fields: object) -> Line:
    ids = {"id": f"gid://shopify/ProductVariant/{number}", "__parentId": f"gid://shopify/Product/{parent}"}
    prices = {"price": "10.00", "compareAtPrice": None, "inventoryItem": {"unitCost": None}}
    return {"sku": f"S-{number}", "position": 1, "selectedOptions": [], **prices, **ids, **fields}


def cost(amount: str, currency: str = "USD") -> Line:
    return {"unitCost": {"amount": amount, "currencyCode": currency}}


# -- the oracle: one line after the other, with nothing but core ---------------------------


def rows_by_loop(lines: list[Line], currency: str) -> list[Row]:
    products = {line["id"]: line for line in lines if "__parentId" not in line}
    variants = [line for line in lines if line.get("__parentId") in products]
    variants.sort(
        key=lambda v: (short(v["__parentId"]), v["position"] is None, v["position"] or 0, str(short(v["id"])))
    )
    return [row_by_loop(variant, products[variant["__parentId"]], currency) for variant in variants]


def short(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def row_by_loop(variant: Line, product: Line, currency: str) -> Row:
    unit_cost = variant["inventoryItem"]["unitCost"]
    amount = minor(unit_cost["amount"], unit_cost["currencyCode"]) if unit_cost else None
    texts = {"sku": variant["sku"], "title": product["title"], "vendor": product["vendor"],
             "product_type": product["productType"], "status": product["status"]}  # fmt: skip
    options = [o for o in variant["selectedOptions"] if (o["name"], o["value"]) != ("Title", "Default Title")]
    attributes = {f"option.{option['name']}": option["value"] for option in options}
    return {
        "external_id": str(short(variant["id"])),
        "group_external_id": str(short(product["id"])),
        **{name: stored(value) for name, value in texts.items()},
        **{
            f"{name}_norm": value and normalize(value.replace("\0", ""))
            for name, value in texts.items()
            if stored(value)
        },
        "tags": array([tag for tag in product["tags"] if stored(tag) is not None]),
        "tags_norm": array(
            [normal for tag in product["tags"] if stored(tag) is not None and (normal := normalize(tag))]
        ),
        "attributes": attributes_json({n: v for n, v in attributes.items() if stored(v) is not None}),
        "attributes_norm": attributes_json(
            {n: normal for n, v in attributes.items() if stored(v) is not None and (normal := normalize(v))}
        ),
        "unit_amount": minor(variant["price"], currency),
        "compare_at": minor(variant["compareAtPrice"], currency),
        "unit_cost": amount,
        "cost_currency": unit_cost["currencyCode"] if unit_cost and amount is not None else None,
    }


def stored(text: str | None) -> str | None:
    return None if text is None or "\0" in text or any("\ud800" <= c <= "\udfff" for c in text) else text


def array(texts: list[str]) -> str:
    return "{" + ",".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts) + "}"


def attributes_json(values: dict[str, str]) -> str:
    return json.dumps(values, ensure_ascii=False, sort_keys=True)


def minor(text: str | None, currency: str) -> str | None:
    written = read_written(text) if text is not None and len(text) <= 40 else None
    if written is None or written.is_negative:
        return None
    whole, _, fraction = written.text.partition(".")
    places = MINOR_UNITS[currency]
    kept = fraction[:places] + fraction[places:].rstrip("0")
    amount = to_minor(Written(f"{whole}.{kept}" if kept else whole), currency)
    return None if isinstance(amount, AmountFault) else str(amount)


words = st.one_of(
    st.sampled_from(["", " ", "Red", "RED  shirt", "Größe", "ﬁ\u00a0x", 'a"b', "a,b\nc\rd", "\\.", "a\\b{c}"]),
    st.sampled_from(["a\0b", "\ud800x"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
texts = st.one_of(st.none(), words)
options = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["Title", "Size", "Größe", 'q"\\']), "value": words}), max_size=3,
    unique_by=lambda option: option["name"],
)  # fmt: skip
amounts = st.one_of(
    st.none(), st.sampled_from(["0", "12.99", "12.990", "-1", "1.005", "10000000000.01", "x", "1200.0"])
)
costs = st.one_of(
    st.none(), st.builds(lambda a, c: {"amount": a or "7", "currencyCode": c}, amounts, st.sampled_from(["USD", "JPY"]))
)
products = st.builds(
    product_line, st.integers(1, 40), title=texts, vendor=texts, productType=texts, tags=st.lists(words, max_size=4)
)
variants = st.builds(
    variant_line, st.integers(1, 200), st.integers(1, 40), sku=texts, price=amounts, compareAtPrice=amounts,
    selectedOptions=options, position=st.one_of(st.none(), st.integers(1, 3)),
    inventoryItem=st.builds(lambda c: {"unitCost": c}, costs),
)  # fmt: skip
catalogs = st.builds(
    lambda p, v, seed: random.Random(seed).sample([*p, *v], len(p) + len(v)),  # noqa: S311 - a shuffle
    st.lists(products, max_size=12, unique_by=lambda line: line["id"]),
    st.lists(variants, max_size=30, unique_by=lambda line: line["id"]),
    st.integers(0, 99),
)


@settings(max_examples=25)
@given(lines=catalogs, currency=st.sampled_from(["USD", "JPY", "KWD"]))
def test_rows_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line], currency: str
) -> None:
    rows, _ = read_lines(tmp_path_factory.mktemp("rows"), lines, currency)

    comparable = [
        row | {name: attributes_json(json.loads(row[name] or "null")) for name in ("attributes", "attributes_norm")}
        for row in rows
    ]
    prints = [row.pop("fingerprint") for row in comparable]
    assert comparable == [dict.fromkeys(STAGE_COLUMNS[:-1]) | row for row in rows_by_loop(lines, currency)]
    assert len(set(prints)) == len({tuple(row[name] for name in FINGERPRINTED) for row in comparable})


def test_a_fingerprint_tells_null_from_empty_and_ignores_money(read: Callable[..., Read]) -> None:
    variants = [
        variant_line(1, 1, sku=None),
        variant_line(2, 1, sku=""),
        variant_line(3, 1, sku="x"),
        variant_line(4, 1, sku="x", price="11", compareAtPrice="12", inventoryItem=cost("1"), position=2),
    ]

    prints = [row["fingerprint"] for row in read([product_line(1), *variants])[0]]

    assert len(set(prints)) == 3
    assert prints[2] == prints[3]


def test_variants_of_a_product_stand_together_by_position(read: Callable[..., Read]) -> None:
    lines = [variant_line(n, 1 + n % 3, position=9 - n) for n in range(1, 9)] + [product_line(n) for n in (3, 1, 2)]

    rows, _ = read(lines)

    assert [row["external_id"] for row in rows] == ["6", "3", "7", "4", "1", "8", "5", "2"]
    assert {row["title"] for row in rows[:2]} == {"Product 1"}


def test_the_pair_that_shopify_makes_up_is_no_attribute(read: Callable[..., Read]) -> None:
    default, chosen = {"name": "Title", "value": "Default Title"}, {"name": "Title", "value": "Captain"}

    rows, _ = read(
        [product_line(1), variant_line(1, 1, selectedOptions=[default]), variant_line(2, 1, selectedOptions=[chosen])]
    )

    assert [row["attributes"] for row in rows] == ["{}", '{"option.Title":"Captain"}']


@pytest.mark.parametrize(
    ("fields", "field", "value", "rule"),
    [
        ({"price": "-1.00"}, "unit_amount", "-1.00", "must not be negative"),
        ({"price": "free"}, "unit_amount", "free", "must be a decimal number such as 12.99"),
        ({"price": "1.005"}, "unit_amount", "1.005", "must have at most 2 decimals in USD"),
        (
            {"compareAtPrice": "10000000000.01"},
            "compare_at",
            "10000000000.01",
            "must be at most 1000000000000 minor units",
        ),
        ({"inventoryItem": cost("1.5", "JPY")}, "unit_cost", "1.5", "must have at most 0 decimals in JPY"),
        ({"inventoryItem": cost("1", "XTS")}, "unit_cost", "1", "needs an active ISO 4217 currency, which XTS is not"),
        ({"sku": "x" * 256}, "sku", "x" * 200, "must have at most 255 characters"),
        ({"sku": "a\0b"}, "sku", "a\\u0000b", "it holds the character U+0000"),
        ({"sku": "a\ud800b"}, "sku", "a\\ud800b", "it holds a lone surrogate"),
        (
            {"selectedOptions": [{"name": "Size", "value": "\0"}]},
            "attributes.option.Size",
            "\\u0000",
            "it holds the character U+0000",
        ),
    ],
)
def test_a_refused_value_is_null_and_a_finding(
    read: Callable[..., Read], fields: Line, field: str, value: str, rule: str
) -> None:
    (row,), findings = read([product_line(1), variant_line(7, 1, **fields)])

    assert findings == [CatalogFinding("7", field, value, rule)]
    assert row["external_id"] == "7"
    assert row.get(field) is None


def test_a_refused_value_of_a_product_names_the_product(read: Callable[..., Read]) -> None:
    rows, findings = read([product_line(5, tags=["ok", "\0"], vendor="\ud800"), variant_line(7, 5), variant_line(8, 5)])

    assert [(f.external_id, f.field) for f in findings] == [("5", "vendor"), ("5", "tags")]
    assert [(row["vendor"], row["tags"]) for row in rows] == [(None, '{"ok"}')] * 2


def test_repeated_ids_are_findings_and_the_first_is_kept(read: Callable[..., Read]) -> None:
    lines = [product_line(1, title="First"), product_line(1, title="Second"), variant_line(7, 1, sku="first")]
    lines += [variant_line(7, 1, sku=f"later {n}") for n in range(2)]

    (row,), findings = read(lines)

    assert (row["title"], row["sku"]) == ("First", "first")
    assert [(f.external_id, f.field) for f in findings] == [("7", "external_id")] * 2 + [("1", "group_external_id")]


def test_a_variant_whose_product_is_absent_is_a_finding(read: Callable[..., Read]) -> None:
    rows, findings = read([product_line(1), variant_line(7, 2), variant_line(8, 1)])

    assert [row["external_id"] for row in rows] == ["8"]
    assert [(f.external_id, f.field, f.value) for f in findings] == [("7", "group_external_id", "2")]


def test_an_id_that_is_none_of_shopifys_is_a_finding(read: Callable[..., Read]) -> None:
    rows, findings = read([product_line(1), variant_line(7, 1) | {"id": "gid://shopify/Metafield/7"}])

    assert rows == []
    assert [finding.field for finding in findings] == ["external_id"]


def test_many_findings_of_one_rule_are_counted_and_not_listed(read: Callable[..., Read]) -> None:
    more = 5
    lines = [variant_line(n, 1, price="-1") for n in range(1, statements.FINDINGS_PER_RULE + more + 1)]

    rows, findings = read([product_line(1), *lines])

    assert len(rows) == len(lines)
    assert len(findings) == statements.FINDINGS_PER_RULE + 1
    assert findings[-1] == CatalogFinding("*", "unit_amount", None, f"{more} further values: must not be negative")


def test_an_empty_file_is_an_empty_catalog(read: Callable[..., Read]) -> None:
    assert read([]) == ([], [])


def test_a_long_catalog_is_written_range_by_range(read: Callable[..., Read], monkeypatch: pytest.MonkeyPatch) -> None:
    few = statements.RANGES.replace(f"greatest({statements.ROWS_PER_RANGE}", "greatest(7")
    assert few != statements.RANGES
    monkeypatch.setattr(statements, "RANGES", few)
    lines = [
        line for n in range(1, 30) for line in (variant_line(2 * n, n), variant_line(2 * n + 1, n), product_line(n))
    ]

    rows, _ = read(lines)

    assert [int(row["external_id"] or 0) for row in rows] == list(range(2, 60))


@pytest.mark.parametrize(
    "damaged", [b'{"id": "gid://shopify/Product/1"\n', b'{"id": "\xff"}\n', b"<html>\n", b'{"id": 1, "tags": "x"}\n']
)
def test_a_file_that_is_not_json_lines_is_refused_without_naming_folders(tmp_path: Path, damaged: bytes) -> None:
    with pytest.raises(Upstream) as caught:
        read_lines(tmp_path, damaged)

    assert caught.value.code == "upstream.protocol"
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_was_cut_off_at_a_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bulk.jsonl"
    path.write_text(json.dumps(product_line(1)) + "\n")

    with pytest.raises(Upstream, match="1 objects instead of 2"):
        bulk_rows.stream(path, BasePriceList("Base prices", "USD"), tmp_path, expected_objects=2)


def test_a_currency_that_iso_4217_does_not_have_is_refused(read: Callable[..., Read]) -> None:
    with pytest.raises(Upstream, match="XTS"):
        read([product_line(1)], "XTS")


def test_closing_a_stream_in_the_middle_leaves_no_thread(tmp_path: Path) -> None:
    path = tmp_path / "bulk.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (product_line(1), variant_line(1, 1))))
    stream = bulk_rows.stream(path, BasePriceList("Base prices", "USD"), tmp_path)
    chunks = stream.chunks()
    next(chunks)

    chunks.close()  # type: ignore[attr-defined]
    stream.close()


def collection_line(number: int, parent: int, **fields: object) -> Line:
    ids = {"id": f"gid://shopify/Collection/{number}", "__parentId": f"gid://shopify/Product/{parent}"}
    return {"handle": f"handle-{number}", "title": f"Title {number}", **ids, **fields}


def attributes_of(read: Read) -> dict[str, tuple[Any, Any]]:
    """The attributes of each listing, as given and in normal form."""
    return {
        str(row["external_id"]): (json.loads(row["attributes"] or ""), json.loads(row["attributes_norm"] or ""))
        for row in read[0]
    }


def test_every_listing_of_a_product_has_the_collections_of_the_product(read: Callable[..., Read]) -> None:
    options = {"selectedOptions": [{"name": "Size", "value": "XL"}]}
    found = read([
        collection_line(5, 1, title="Été"),
        variant_line(11, 1, **options),
        variant_line(21, 2),
        product_line(2),
        collection_line(4, 1),
        product_line(1),
        variant_line(12, 1),
        collection_line(4, 3),
    ])  # fmt: skip

    collections = {"collection.handle-4": "Title 4", "collection.handle-5": "Été"}
    folded = {"collection.handle-4": "title 4", "collection.handle-5": "été"}
    assert attributes_of(found) == {
        "11": (collections | {"option.Size": "XL"}, folded | {"option.Size": "xl"}),
        "12": (collections, folded),
        "21": ({}, {}),
    }
    assert found[1] == []


def test_a_product_that_joins_or_leaves_a_collection_is_different(read: Callable[..., Read]) -> None:
    alone = [product_line(1), variant_line(11, 1)]

    (without,), _ = read(alone)
    (within,), _ = read([*alone, collection_line(4, 1)])
    (renamed,), _ = read([*alone, collection_line(4, 1, title="Other")])

    assert len({without["fingerprint"], within["fingerprint"], renamed["fingerprint"]}) == 3


def test_metafields_are_attributes_by_their_names_and_types(read: Callable[..., Read]) -> None:
    asked = Metafields(("custom.material", "custom.season"), ("custom.weight", "custom.weight_text", "x.size"))
    product = {"metafield0": {"type": "single_line_text_field", "value": "Wool"}, "metafield1": None}
    variant = {
        "metafield0": {"type": "number_decimal", "value": "12.50"},
        "metafield1": {"type": "single_line_text_field", "value": "12.50"},
        "metafield2": {"type": "number_integer", "value": "not a number"},
    }

    found = read([product_line(1, **product), variant_line(11, 1, **variant)], metafields=asked)

    assert attributes_of(found)["11"][0] == {
        "metafield.custom.material": "Wool",
        "metafield.custom.weight": 12.5,
        "metafield.custom.weight_text": "12.50",
        "metafield.x.size": "not a number",
    }
    assert '"metafield.custom.weight":12.50' in (found[0][0]["attributes_norm"] or "")


def test_an_attribute_of_a_variant_counts_more_than_that_of_its_product(read: Callable[..., Read]) -> None:
    text = "single_line_text_field"
    lines = [
        product_line(1, metafield0={"type": text, "value": "all"}),
        variant_line(11, 1, metafield0={"type": text, "value": "own"}),
        variant_line(12, 1, metafield0=None),
    ]

    found = attributes_of(read(lines, metafields=Metafields(("custom.a",), ("custom.a",))))

    assert found["11"][1] == {"metafield.custom.a": "own"}
    assert found["12"][1] == {"metafield.custom.a": "all"}


def test_what_cannot_be_stored_of_a_collection_is_a_finding_of_its_product(read: Callable[..., Read]) -> None:
    rows, findings = read([product_line(1), variant_line(11, 1), collection_line(4, 1, title="a\0b")])

    assert json.loads(rows[0]["attributes"] or "") == {}
    assert [(f.external_id, f.field) for f in findings] == [("1", "attributes.collection.handle-4")]


def test_collections_count_as_objects_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bulk.jsonl"
    lines = [product_line(1), variant_line(11, 1), collection_line(4, 1)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    bulk_rows.stream(path, BasePriceList("Base prices", "USD"), tmp_path, expected_objects=3).close()
    with pytest.raises(Upstream, match="3 objects instead of 4"):
        bulk_rows.stream(path, BasePriceList("Base prices", "USD"), tmp_path, expected_objects=4)
