"""The objects that GraphQL fields read from: one immutable tuple per stored row."""

from typing import NamedTuple


class ProductRow(NamedTuple):
    """A product. `tags`, `options` and `extra` are JSON text; times are whole seconds since the epoch."""

    id: int
    title: str
    handle: str
    vendor: str
    product_type: str
    status: str
    tags: str
    options: str
    created_at: int
    updated_at: int
    extra: str


class VariantRow(NamedTuple):
    """A variant with what it shows of its product.

    Amounts are decimal text in the shop's currency; `option_values`, `extra` and `product_options` are JSON text.
    """

    id: int
    product_id: int
    position: int
    title: str
    sku: str | None
    barcode: str | None
    price: str
    compare_at_price: str | None
    cost: str | None
    option_values: str
    created_at: int
    updated_at: int
    extra: str
    product_title: str
    product_options: str


class InventoryItemRow(NamedTuple):
    """The inventory item of a variant: there is exactly one per variant."""

    variant: VariantRow


class OptionRow(NamedTuple):
    """An option of a product (size, color) with the values its variants use, and all that were named for it."""

    id: int
    name: str
    position: int
    values: list[str]
    declared: list[str]


class OptionValue(NamedTuple):
    """A value of an option of a product, and whether a variant uses it."""

    id: int
    name: str
    has_variants: bool


class SelectedOption(NamedTuple):
    """The value a variant has for one option."""

    name: str
    value: str
    option: OptionRow


class Money(NamedTuple):
    """An amount as decimal text, with its currency."""

    amount: str
    currency_code: str


class BulkRow(NamedTuple):
    """A bulk operation. `result` is the name of its result file, whole or partial; counts are integers.

    A mutation has the key of its staged file; `query` holds its text.
    """

    id: int
    status: str
    query: str
    group_objects: int
    error_code: str | None
    created_at: int
    completed_at: int | None
    object_count: int
    root_object_count: int
    file_size: int | None
    result: str | None
    type: str
    staged_path: str | None
    client_identifier: str | None


PRODUCT_COLUMNS = ", ".join(f"p.{name}" for name in ProductRow._fields)
VARIANT_COLUMNS = (
    ", ".join(f"v.{name}" for name in VariantRow._fields[:-2])
    + ", p.title AS product_title, p.options AS product_options"
)
BULK_COLUMNS = ", ".join(BulkRow._fields)
