"""Bodies that carry rule documents: numbers keep their written form, and `pricing` judges the documents."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from calibr.changes.model import Documents, EditedPriceChange, NewPriceChange, NewRelease
from calibr.core.ids import PriceListId
from calibr.http.body import RequestModel, Text


def _given(value: object) -> object:
    """Null is not a document; what is not meant is left out."""
    if value is None:
        raise ValueError("must not be null")
    return value


Selector = Annotated[
    Any,
    BeforeValidator(_given),
    WithJsonSchema({"type": "object", "description": "A document `selector/1.0.0`; see `/v1/schemas`."}),
]
Transform = Annotated[
    Any,
    BeforeValidator(_given),
    WithJsonSchema({"type": "object", "description": "A document `transform/1.0.0`; see `/v1/schemas`."}),
]
Guardrails = Annotated[
    Any,
    BeforeValidator(_given),
    WithJsonSchema({"type": "array", "items": {"type": "object"}, "description": "Documents `guardrail/1.0.0`."}),
]
PriceListIds = list[Annotated[UUID, Field(strict=False)]]
MAX_PRICE_LISTS: Final = 1000


class NewPriceChangeBody(RequestModel):
    """A price change to write down."""

    name: Text = Field(min_length=1, max_length=200)
    selector: Selector
    transform: Transform
    guardrails: Guardrails = Field(default_factory=list)
    price_list_ids: PriceListIds | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_PRICE_LISTS,
        description="Left out: the base price list of every connection.",
    )


class NewReleaseBody(RequestModel):
    """Fixed prices to take away."""

    name: Text = Field(min_length=1, max_length=200)
    selector: Selector
    price_list_ids: PriceListIds = Field(
        min_length=1, max_length=MAX_PRICE_LISTS, description="Price lists beside the base prices."
    )


class EditPriceChange(RequestModel):
    """What to change; what is left out stays."""

    name: Annotated[Text | None, BeforeValidator(_given), Field(min_length=1, max_length=200)] = None
    selector: Selector = None
    transform: Transform = None
    guardrails: Guardrails = None
    price_list_ids: Annotated[
        PriceListIds | None, BeforeValidator(_given), Field(min_length=1, max_length=MAX_PRICE_LISTS)
    ] = None

    @model_validator(mode="after")
    def _something(self) -> "EditPriceChange":
        if not self.model_fields_set:
            raise ValueError(f"must have at least one of {', '.join(type(self).model_fields)}")
        return self


def new_change(body: NewPriceChangeBody) -> NewPriceChange:
    """What was asked for."""
    documents = Documents(body.selector, body.transform, body.guardrails)
    ids = [PriceListId(i) for i in body.price_list_ids] if body.price_list_ids is not None else None
    return NewPriceChange(body.name, documents, ids)


def new_release(body: NewReleaseBody) -> NewRelease:
    """What was asked for."""
    return NewRelease(body.name, body.selector, [PriceListId(i) for i in body.price_list_ids])


def edited(body: EditPriceChange) -> EditedPriceChange:
    """What was asked for; None is what was left out."""
    ids = [PriceListId(i) for i in body.price_list_ids] if body.price_list_ids is not None else None
    return EditedPriceChange(body.name, body.selector, body.transform, body.guardrails, ids)
