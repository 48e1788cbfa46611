"""`calibr serve`, `migrate`, `doctor` and `tenant create`: the commands for the host that the server runs on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.text import Text
from typer import Argument, Exit, Option, Typer

from calibr.cli.declare import command, group
from calibr.cli.failures import FAILED
from calibr.cli.output import Output
from calibr.cli.signals import Terminated

if TYPE_CHECKING:
    from calibr.cli.doctor import Finding
    from calibr.db import Database
    from calibr.settings import Settings

tenants: Typer = group("tenant", "Tenants of this installation (on the server's own host).")

DataDir = Annotated[Path | None, Option(help="Data directory; CALIBR_DATA_DIR if left out.")]


def serve(
    out: Output,
    host: Annotated[str | None, Option(help="Address to listen on; CALIBR_HOST if left out.")] = None,
    port: Annotated[int | None, Option(help="0 takes a free port; CALIBR_PORT if left out.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Run the API and a worker until Ctrl-C, with PostgreSQL brought along unless CALIBR_DATABASE_URL names one."""
    from calibr import app  # noqa: PLC0415 - the server's libraries would slow every other command

    settings = _settings(host=host, port=port, data_dir=data_dir)
    with suppress(KeyboardInterrupt, Terminated):  # the ways to end it
        app.serve(settings, on_ready=lambda url: _say_ready(out, settings, url))


def worker(out: Output, data_dir: DataDir = None) -> None:
    """Run a worker until Ctrl-C: syncs, previews, apply runs, deliveries. Start as many as you like, on any machine.

    All of them use one database: that of CALIBR_DATABASE_URL, or the embedded one of the data directory.
    """
    from calibr import app  # noqa: PLC0415 - as above

    settings = _settings(data_dir=data_dir)

    def say() -> None:
        out.result(
            {"event": "ready", "pid": os.getpid()}, lambda page: page.print("The worker is at work. Ctrl-C ends it.")
        )

    with suppress(KeyboardInterrupt, Terminated):
        app.work(settings, on_ready=say)


def migrate(out: Output, data_dir: DataDir = None) -> None:
    """Bring the database to the schema of this version. `serve` does it too; run it first where you deploy in steps."""
    from calibr.db.migrate import head_revision  # noqa: PLC0415 - as above

    with _opened(data_dir):
        head = head_revision()
    out.result({"migration": head}, lambda page: page.print(f"the database is at migration {head}"))


def doctor(out: Output) -> None:
    """Look for what is wrong with this installation. Changes nothing; exits 1 if something is."""
    from calibr.cli.doctor import examine  # noqa: PLC0415 - as above

    findings = examine()
    wrong = [finding for finding in findings if not finding.ok]
    document = [{"name": f.name, "ok": f.ok, "found": f.found, "remedy": f.remedy or None} for f in findings]
    out.result({"ok": not wrong, "checks": document}, lambda page: _show_findings(page, findings))
    if wrong:
        raise Exit(FAILED)


@command(tenants, "create")
def create_tenant(
    out: Output,
    name: Annotated[str, Argument(help="What the tenant is called.")],
    admin: Annotated[str, Option(help="Name of its first user, who may do everything.")] = "admin",
    print_token: Annotated[bool, Option("--print-token", help="Print nothing but the token.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a tenant with its first user, and print that user's token once."""
    from calibr.access import create_tenant as make  # noqa: PLC0415 - as above

    with _opened(data_dir) as database:
        made = make(database, name=name, admin_name=admin)
    token = made.token.reveal()
    document = {"tenant_id": str(made.tenant_id), "user_id": str(made.user_id), "user": admin, "token": token}

    def show(page: Console) -> None:
        if print_token:
            page.print(token, soft_wrap=True)
            return
        page.print(Text.assemble((name, "bold"), f"  {made.tenant_id}"))
        page.print(f"admin   {admin}")
        page.print(f"token   {token}", soft_wrap=True)
        page.print("Keep the token now: it is never shown again.", style="yellow")

    out.result(document, show)


def _settings(**chosen: object) -> "Settings":
    from calibr.settings import Settings  # noqa: PLC0415 - as above

    return Settings.load(**{name: value for name, value in chosen.items() if value is not None})


@contextmanager
def _opened(data_dir: Path | None) -> "Iterator[Database]":
    """The database at the current schema, with logs on standard error where they belong."""
    from calibr import app  # noqa: PLC0415 - as above
    from calibr.monitor import configure_logging  # noqa: PLC0415 - as above
    from calibr.settings import master_key  # noqa: PLC0415 - as above

    settings = _settings(data_dir=data_dir)
    configure_logging(console=True, level="warning")
    with app.open_database(settings, master_key(settings)) as database:
        yield database


def _say_ready(out: Output, settings: "Settings", url: str) -> None:
    embedded = settings.database_url is None
    database = f"embedded PostgreSQL in {settings.data_dir}" if embedded else "PostgreSQL of CALIBR_DATABASE_URL"

    def show(page: Console) -> None:
        page.print(Text.assemble("Calibr is ready at ", (url, "bold")))
        page.print(f"  data       {database}", style="bright_black")
        page.print('  first use  calibr tenant create "My shop"', style="bright_black")
        page.print("Ctrl-C ends it.", style="bright_black")

    out.result({"event": "ready", "url": url, "data_dir": str(settings.data_dir)}, show)


def _show_findings(page: Console, findings: "list[Finding]") -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = ("✓", "green") if finding.ok else ("✗", "red")
        page.print(Text.assemble(mark, f" {finding.name:<{width}}  {finding.found}"))
        if finding.remedy:
            page.print(Text(f"  {'':<{width}}  {finding.remedy}", style="yellow"))
    bad = sum(not finding.ok for finding in findings)
    page.print("all is well" if not bad else f"{bad} of {len(findings)} checks failed")
