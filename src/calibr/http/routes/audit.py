"""The audit trail, and the schemas that its events and all documents follow."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from calibr.events import AuditEntry, list_audit
from calibr.http.answer import Answer
from calibr.http.caller import AuditRead, CatalogRead
from calibr.http.pagination import DEFAULT_LIMIT, After, Filter, Keyset, Limit, Page
from calibr.registry import load_registry

router = APIRouter(prefix="/v1", tags=["audit"])
AUDIT = Keyset("audit", (int,))


@dataclass(frozen=True, slots=True)
class SchemaRef:
    """A subject with its versions, oldest first."""

    subject: str
    versions: list[str]


@router.get(
    "/audit",
    summary="Who did what, when and why",
    operation_id="list_audit",
    responses={200: {"model": Page[AuditEntry]}},
)
def get_audit(
    caller: AuditRead,
    entity: Filter = None,
    entity_id: Filter = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """All events in the order in which they were committed; `entity=price_change&entity_id=...` tells one story."""
    after_seq = AUDIT.first_number(after) if after is not None else 0
    with caller.session() as session:
        rows = list_audit(session, entity=entity, entity_id=entity_id, after_seq=after_seq, limit=limit + 1)
    return Answer(AUDIT.page(rows, limit, view=lambda row: row, key=lambda row: (row.seq,))).response()


@router.get(
    "/schemas", summary="List the schemas", operation_id="list_schemas", responses={200: {"model": Page[SchemaRef]}}
)
def list_schemas(caller: CatalogRead) -> Response:
    """Of rule documents, events and the event envelope. One page holds them all."""
    del caller  # asked for its scope only: schemas are the same for every tenant
    subjects = load_registry().subjects()
    return Answer(Page([SchemaRef(subject, versions) for subject, versions in subjects.items()], None)).response()


@router.get(
    "/schemas/{subject:path}/{version}",
    summary="Get a schema",
    operation_id="get_schema",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
def get_schema(caller: CatalogRead, subject: str, version: str) -> Response:
    """A JSON Schema (2020-12). A subject may have slashes: `event/price.changed`."""
    del caller  # asked for its scope only
    schema: dict[str, Any] = load_registry().document(subject, version)
    return Answer(schema).response()
