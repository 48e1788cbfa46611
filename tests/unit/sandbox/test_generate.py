"""The catalog from a seed."""

from collections import Counter
from itertools import islice

import pytest

from calibr_sandbox.catalog_writer import NewProduct, store_products
from calibr_sandbox.generate import CatalogSpec, generate_products
from calibr_sandbox.store import Store


@pytest.fixture(scope="module")
def catalog() -> list[NewProduct]:
    return list(generate_products(CatalogSpec(20_000, 5, "USD")))


def test_the_size_counts_variants_exactly(catalog: list[NewProduct]) -> None:
    assert sum(len(product.variants) for product in catalog) == 20_000
    assert list(generate_products(CatalogSpec(0, 5, "USD"))) == []


def test_the_seed_decides_everything(catalog: list[NewProduct]) -> None:
    again = list(islice(generate_products(CatalogSpec(20_000, 5, "USD")), 500))
    other = list(islice(generate_products(CatalogSpec(20_000, 6, "USD")), 500))

    assert again == catalog[:500]
    assert other != catalog[:500]


def test_the_catalog_is_skewed_as_shops_are(catalog: list[NewProduct]) -> None:
    variants = [variant for product in catalog for variant in product.variants]
    sizes = [len(product.variants) for product in catalog]
    tags = Counter(tag for product in catalog for tag in product.tags)
    endings = Counter(variant.price[-2:] for variant in variants)
    skus = Counter(variant.sku for variant in variants)

    assert set(endings) == {"99", "95", "00"}
    assert sum(size <= 10 for size in sizes) / len(sizes) > 0.95
    assert 100 < max(sizes) <= 2_048
    assert 0.15 < sum(variant.cost is None for variant in variants) / len(variants) < 0.25
    assert 0.1 < sum(variant.compare_at_price is not None for variant in variants) / len(variants) < 0.35
    assert tags["sale"] > 5 * tags["office"] > 0
    assert skus[None] > 500
    assert any(count > 1 for sku, count in skus.items() if sku)
    assert len({product.vendor for product in catalog}) >= 8
    assert any(not product.title.isascii() for product in catalog)


def test_handles_and_options_are_unique(catalog: list[NewProduct]) -> None:
    assert len({product.handle for product in catalog}) == len(catalog)
    for product in catalog:
        options = [variant.options for variant in product.variants]
        assert len(set(options)) == len(options)
        assert {len(values) for values in options} == {len(product.option_names)}


@pytest.mark.parametrize(("currency", "decimals"), [("JPY", 0), ("USD", 2), ("KWD", 3)])
def test_prices_have_the_decimals_of_the_currency(currency: str, decimals: int) -> None:
    for product in generate_products(CatalogSpec(300, 1, currency)):
        for variant in product.variants:
            for amount in filter(None, (variant.price, variant.compare_at_price, variant.cost)):
                assert len(amount.partition(".")[2]) == decimals


def test_what_is_stored_twice_gets_new_ids_or_is_refused(store: Store) -> None:
    stored = store_products(store, generate_products(CatalogSpec(50, 1, "USD")))
    renamed = (
        NewProduct("T", f"other-{number}", "", "", (), p.option_names, p.variants, 0)
        for number, p in enumerate(generate_products(CatalogSpec(50, 1, "USD")))
    )

    assert store_products(store, renamed) == stored
    assert store.fetch_value("SELECT count(*) FROM variant") == 100
    assert store.fetch_value("SELECT count(DISTINCT id) FROM product") == 2 * stored.products


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="variants: -1 is negative"):
        CatalogSpec(-1, 1, "USD")
