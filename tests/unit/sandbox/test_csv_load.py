"""Loading product CSVs: the sample files, and what goes wrong in real ones."""

from pathlib import Path

import pytest

from calibr_sandbox.csv_load import CsvError, LoadResult, load_csv
from calibr_sandbox.store import Store

HEADER = (
    "Handle,Title,Vendor,Type,Tags,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,"
    "Variant Price,Variant Compare At Price,Image Src,Cost per item,Status"
)


def _load(store: Store, tmp_path: Path, *rows: str) -> LoadResult:
    path = tmp_path / "products.csv"
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return load_csv(store, path)


def _variants(store: Store) -> list[tuple[object, ...]]:
    return store.fetch_all(
        "SELECT p.handle, v.title, v.sku, v.price, v.compare_at_price, v.cost FROM variant v"
        " JOIN product p ON p.id = v.product_id ORDER BY v.id"
    )


@pytest.mark.parametrize(("name", "variants", "with_compare_at"), [("apparel", 22, 0), ("home-and-garden", 21, 16)])
def test_the_sample_files_load_whole(
    store: Store, shared_data: Path, name: str, variants: int, with_compare_at: int
) -> None:
    result = load_csv(store, shared_data / "catalogs" / "shopify-product-csvs" / f"{name}.csv")

    assert (result.products, result.variants, result.skipped) == (20, variants, ())
    assert store.fetch_value("SELECT count(*) FROM variant WHERE sku IS NOT NULL") == 0
    assert store.fetch_value("SELECT count(*) FROM variant WHERE compare_at_price IS NOT NULL") == with_compare_at


def test_follow_up_rows_add_variants_and_image_rows_add_none(store: Store, tmp_path: Path) -> None:
    result = _load(
        store,
        tmp_path,
        'shirt,Shirt,Acme,Tops,"summer, new,summer",Color,Red,Size,S,RS,10,12.5,a.jpg,4,active',
        "shirt,,,,,,Red,,M,,11,,,,",
        "shirt,,,,,,,,,,,,b.jpg,,",
        "mug,Mug,,,,Title,Default Title,,,,7.5,,,,draft",
    )

    assert result == LoadResult(2, 3, ())
    assert _variants(store) == [
        ("shirt", "Red / S", "RS", "10.00", "12.50", "4.00"),
        ("shirt", "Red / M", None, "11.00", None, None),
        ("mug", "Default Title", None, "7.50", None, None),
    ]
    assert store.fetch_all("SELECT tags, status, options FROM product ORDER BY id") == [
        (
            '["new","summer"]',
            "ACTIVE",
            '[{"name":"Color","values":["Red"]},{"name":"Size","values":["S","M"]}]',
        ),
        ("[]", "DRAFT", '[{"name":"Title","values":["Default Title"]}]'),
    ]


def test_a_broken_row_is_reported_with_line_and_reason_and_the_rest_is_loaded(store: Store, tmp_path: Path) -> None:
    result = _load(
        store,
        tmp_path,
        "a,A,,,,Title,Default Title,,,,abc,,,,",
        ",No handle,,,,,,,,,1,,,,",
        "b,,,,,,,,,,5,,,,",
        "b,,,,,,,,,,6,,,,",
        "c,C,,,,Size,S,,,,5,-1,,,",
        'd,"D\nin two lines",,,,Size,S,,,,5,,,,',
        "d,,,,,,S,,,,6,,,,",
        "d,,,,,,,,,,6,,,,",
        "d,,,,,,M,,,,,,,,",
        "e,E,,,,,,,,,1,,,,nonsense",
        "f,F,,,,,,,,,1,,,,,,,too,many",
        "g,G,,,,,,,,,1000000000000000000,,,,",
        "h,H,,,,,,,,,9.999,,,,",
    )

    assert [(row.line, row.reason) for row in result.skipped] == [
        (2, "Variant Price: 'abc' is not a decimal number"),
        (3, "Handle is empty"),
        (4, "the first row of product 'b' has no Title"),
        (5, "belongs to product 'b', which was refused: the first row of product 'b' has no Title"),
        (6, "Variant Compare At Price: -1 is outside of 0 to 1000000000000000000"),
        (9, "product 'd' already has a variant 'S'"),
        (10, "option 'Size' has no value"),
        (11, "Variant Price is empty"),
        (12, "Status 'nonsense' is none of ACTIVE, ARCHIVED, DRAFT, UNLISTED"),
        (13, "19 fields, the header has 15"),
        (14, "Variant Price: 1000000000000000000 is outside of 0 to 1000000000000000000"),
    ]
    assert [row[:4] for row in _variants(store)] == [("d", "S", None, "5.00"), ("h", "Default Title", None, "10.00")]


def test_a_quote_that_is_never_closed_costs_its_row_and_not_the_rest(store: Store, tmp_path: Path) -> None:
    result = _load(
        store,
        tmp_path,
        "a,A,,,,,,,,,1,,,,",
        'b,"B,,,,,,,,,2,,,,',
        "c,C,,,,,,,,,3,,,,",
        'd,"D"oops,,,,,,,,,4,,,,',
        'e,"E ""quoted"" and\nbroken",,,,,,,,,5,,,,',
    )

    assert [row.line for row in result.skipped] == [3, 5]
    assert all(row.reason.startswith("the row cannot be read: ") for row in result.skipped)
    assert [row[0] for row in _variants(store)] == ["a", "c", "e"]


def test_a_product_that_the_shop_has_is_left_alone(store: Store, tmp_path: Path) -> None:
    _load(store, tmp_path, "a,A,,,,Title,Default Title,,,,1,,,,")

    result = _load(store, tmp_path, "a,A,,,,Title,Default Title,,,,2,,,,")

    assert [row.reason for row in result.skipped] == ["the shop already has a product with the handle 'a'"]
    assert _variants(store)[0][3] == "1.00"


def test_a_file_with_other_columns_is_refused_as_a_whole(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("Name,Price\nx,1\n", encoding="utf-8")

    with pytest.raises(CsvError, match="the header has no column Handle, Title, Variant Price"):
        load_csv(store, path)


def test_a_byte_order_mark_and_quoted_numbers_are_read(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "bom.csv"
    path.write_text(f'\ufeff{HEADER}\na,A,,,,,,,,\'00123,"5",,,,\n', encoding="utf-8")

    assert load_csv(store, path).variants == 1
    assert _variants(store) == [("a", "Default Title", "00123", "5.00", None, None)]
