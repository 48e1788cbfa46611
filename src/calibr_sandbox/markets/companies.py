"""Companies, their locations and publications: as much as catalogs refer to."""

import sqlite3
import time
from typing import Any

from calibr_sandbox.context import Info
from calibr_sandbox.ids import gid
from calibr_sandbox.markets.reads import (
    catalog_of_publication,
    find_catalog,
    find_company,
    find_publication,
    list_locations,
)
from calibr_sandbox.markets.refusals import Refusal, text_refusals, user_errors
from calibr_sandbox.markets.rows import CompanyLocationRow, CompanyRow, PublicationRow
from calibr_sandbox.markets.tables import next_number
from calibr_sandbox.queries import number_of

Input = dict[str, Any]


def resolve_company_create(_root: object, info: Info, input: Input) -> dict[str, Any]:  # noqa: A002
    """`companyCreate`, with its first location."""
    store, wanted = info.context.store, input["company"]
    name, external = wanted["name"], wanted.get("externalId")
    with store.transaction() as connection:
        refusals = text_refusals(name, ("input", "company", "name"), "Name")
        if external is not None and store.fetch_one("SELECT 1 FROM company WHERE external_id = ?", (external,)):
            refusals.append(Refusal(("input", "company", "externalId"), "External ID has already been taken.", "TAKEN"))
        if refusals:
            return {"company": None, "userErrors": user_errors(refusals)}
        company = CompanyRow(next_number(connection, "company"), name, external, int(time.time()))
        connection.execute("INSERT INTO company VALUES (?, ?, ?, ?)", company)
        _insert_location(connection, company, input.get("companyLocation") or {"name": name})
    return {"company": company, "userErrors": []}


def resolve_company_delete(_root: object, info: Info, id: str) -> dict[str, Any]:  # noqa: A002
    """`companyDelete`, with its locations."""
    store, number = info.context.store, number_of(id, "Company")
    with store.transaction() as connection:
        if find_company(store, number) is None:
            missing = Refusal(("id",), "Resource requested does not exist.", "RESOURCE_NOT_FOUND")
            return {"deletedCompanyId": None, "userErrors": user_errors([missing])}
        gone = [(row.id,) for row in list_locations(store, number)]
        connection.executemany(
            "DELETE FROM catalog_context WHERE context_id = ?"
            " AND catalog_id IN (SELECT id FROM catalog WHERE kind = 'COMPANY_LOCATION')",
            gone,
        )
        connection.executemany("DELETE FROM company_location WHERE id = ?", gone)
        connection.execute("DELETE FROM company WHERE id = ?", (number,))
    return {"deletedCompanyId": gid("Company", number), "userErrors": []}


def resolve_location_create(
    _root: object,
    info: Info,
    companyId: str,  # noqa: N803 - the argument's name in the schema
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    """`companyLocationCreate`."""
    store, number = info.context.store, number_of(companyId, "Company")
    with store.transaction() as connection:
        company = find_company(store, number)
        if company is None:
            missing = Refusal(("companyId",), "Resource requested does not exist.", "RESOURCE_NOT_FOUND")
            return {"companyLocation": None, "userErrors": user_errors([missing])}
        location = _insert_location(connection, company, input)
    return {"companyLocation": location, "userErrors": []}


def resolve_publication_create(_root: object, info: Info, input: Input) -> dict[str, Any]:  # noqa: A002
    """`publicationCreate`. The sandbox publishes every product, whatever the publication says."""
    store, text = info.context.store, input.get("catalogId")
    with store.transaction() as connection:
        catalog = None if text is None else find_catalog(store, text)
        refusal = None
        if text is not None and catalog is None:
            refusal = Refusal(("input", "catalogId"), "Catalog does not exist.", "CATALOG_NOT_FOUND")
        elif catalog is not None and catalog.publication_id is not None:
            refusal = Refusal(("input", "catalogId"), "Catalog has a publication already assigned.", "TAKEN")
        if refusal is not None:
            return {"publication": None, "userErrors": user_errors([refusal])}
        row = PublicationRow(next_number(connection, "publication"), int(bool(input.get("autoPublish"))))
        connection.execute("INSERT INTO publication VALUES (?, ?)", row)
        if catalog is not None:
            connection.execute("UPDATE catalog SET publication_id = ? WHERE id = ?", (row.id, catalog.id))
    return {"publication": row, "userErrors": []}


def resolve_publication_delete(_root: object, info: Info, id: str) -> dict[str, Any]:  # noqa: A002
    """`publicationDelete`."""
    store, number = info.context.store, number_of(id, "Publication")
    with store.transaction() as connection:
        if find_publication(store, number) is None:
            missing = Refusal(("id",), "Publication not found.", "PUBLICATION_NOT_FOUND")
            return {"deletedId": None, "userErrors": user_errors([missing])}
        if catalog_of_publication(store, number) is not None:
            connection.execute("UPDATE catalog SET publication_id = NULL WHERE publication_id = ?", (number,))
        connection.execute("DELETE FROM publication WHERE id = ?", (number,))
    return {"deletedId": gid("Publication", number), "userErrors": []}


def _insert_location(connection: sqlite3.Connection, company: CompanyRow, input: Input) -> CompanyLocationRow:  # noqa: A002
    row = CompanyLocationRow(
        next_number(connection, "company_location"),
        company.id,
        input.get("name") or company.name,
        input.get("phone"),
        input.get("externalId"),
        int(time.time()),
    )
    connection.execute("INSERT INTO company_location VALUES (?, ?, ?, ?, ?, ?)", row)
    return row
