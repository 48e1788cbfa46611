"""`calibr products`, `audit` and `schema`: what is there, what happened, and what documents look like."""

from typing import Annotated, Any

from typer import Argument, Option, Typer

from calibr.cli.declare import command, group
from calibr.cli.failures import CliError
from calibr.cli.output import print_json
from calibr.cli.session import Cli
from calibr.cli.views.audit import audit_table
from calibr.cli.views.table import Column, table, text

audit: Typer = group("audit", "Who did what, when and why.")
schemas: Typer = group("schema", "JSON Schemas of rules and events.")


@command(audit, "list")
def list_audit(
    cli: Cli,
    entity: Annotated[str | None, Option(help="Kind of thing, such as price_change or product.")] = None,
    entity_id: Annotated[str | None, Option("--id", help="Id of the thing; needs --entity.")] = None,
    limit: Annotated[int, Option(min=1, help="At most this many rows.")] = 100,
) -> None:
    """List what happened, oldest first."""
    if entity_id is not None and entity is None:
        raise CliError("--id needs --entity, the kind of thing that the id is of")
    found = list(cli.api.pages("/v1/audit", {"entity": entity, "entity_id": entity_id}, limit=limit))
    cli.result({"items": found}, lambda page: page.print(audit_table(found, width=page.width)))


@command(schemas, "list")
def list_schemas(cli: Cli) -> None:
    """List the subjects with their versions."""
    found = list(cli.api.pages("/v1/schemas"))
    rows = [[text(s["subject"]), ", ".join(s["versions"])] for s in found]
    cli.result({"items": found}, lambda page: page.print(table([Column("subject"), Column("versions")], rows)))


@command(schemas, "show")
def show_schema(
    cli: Cli,
    subject: Annotated[str, Argument(help="Such as selector or event/price.changed.")],
    version: Annotated[str | None, Argument(help="The newest if left out.")] = None,
) -> None:
    """Print a schema."""
    newest = version or _newest(list(cli.api.pages("/v1/schemas")), subject)
    print_json(cli.api.get(f"/v1/schemas/{subject}/{newest}"))


def _newest(found: list[dict[str, Any]], subject: str) -> str:
    for row in found:
        if row["subject"] == subject:
            return str(row["versions"][-1])
    near = [row["subject"] for row in found if subject in row["subject"]]
    hint = f"; did you mean {', '.join(near[:5])}?" if near else "; see `calibr schema list`"
    raise CliError(f"there is no schema {subject!r}{hint}", code="cli.not_found")
