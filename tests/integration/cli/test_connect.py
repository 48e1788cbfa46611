"""`calibr connect` and `connections` in scripts: one document, exit codes, and refusals that name the option."""

from typing import Any

import pytest
from terminal import Installation, Terminal

from calibr.cli.demo.processes import run_once

APP = ["--client-id", "calibr-sandbox-app", "--secret-env", "CLIENT_SECRET"]


@pytest.fixture
def newcomer(calibr: Terminal, installation: Installation) -> Terminal:
    """The admin of a tenant without connections."""
    command = ["calibr", "tenant", "create", "New", "--admin", "Ada", "--json", "--data-dir", installation.data_dir]
    calibr.become(installation.server.url, str(run_once(command)["token"]))
    calibr.environment.setenv("CLIENT_SECRET", "shpss_sandbox")
    calibr.environment.setenv("WRONG_SECRET", "shpss_wrong")
    return calibr


def connect(calibr: Terminal, installation: Installation, *options: str) -> Any:  # noqa: ANN401 - JSON
    done = calibr("connect", "shopify", "--name", "s", "--shop-url", installation.store.url, *options, "--json")
    assert done.code == 0, done.err
    return done.document


def test_a_script_connects_by_credentials_and_sees_how_it_is(newcomer: Terminal, installation: Installation) -> None:
    made = connect(newcomer, installation, *APP)
    shown = newcomer("connections", "check", "s")
    listed = newcomer("connections")

    assert (made["state"], made["health"]["auth_method"]) == ("active", "client_credentials")
    for part in (
        "let in by    client-credentials",
        "token until  20",
        "rate limit   ",
        "last sync",
        "API version  2026-10",
    ):
        assert part in shown.out
    assert "active" in listed.out
    assert "shpss_sandbox" not in shown.out + listed.out


def test_a_wrong_secret_is_told_and_a_good_one_brings_it_back(newcomer: Terminal, installation: Installation) -> None:
    address = ["--name", "s", "--shop-url", installation.store.url]
    wrong = newcomer(
        "connect", "shopify", *address, "--client-id", "calibr-sandbox-app", "--secret-env", "WRONG_SECRET"
    )
    refused = newcomer("sync", "s")
    good = newcomer("connections", "authorize", "s", "--secret-env", "CLIENT_SECRET", "--json")

    assert (wrong.code, refused.code, good.code) == (1, 2, 0)
    assert "invalid_client" in wrong.err
    assert "calibr connections authorize s" in wrong.err
    assert "was refused by the store; authorize it again" in refused.err
    assert good.document["state"] == "active"


def test_a_script_that_does_not_wait_gets_the_address(newcomer: Terminal, installation: Installation) -> None:
    made = connect(newcomer, installation, *APP, "--method", "authorization-code", "--no-wait")
    again = newcomer("connections", "authorize", "s", "--no-wait", "--json").document

    assert made["state"] == "pending"
    assert made["authorize_url"].startswith(f"{installation.store.url}/admin/oauth/authorize?")
    assert made["redirect_uri"] == f"{installation.server.url}/v1/oauth/callback"
    assert again["authorize_url"] != made["authorize_url"]


def test_a_connection_is_switched_off_and_on(newcomer: Terminal, installation: Installation) -> None:
    connect(newcomer, installation, *APP)

    off = newcomer("connections", "disable", "s", "--json")
    refused = newcomer("sync", "s")
    on = newcomer("connections", "enable", "s", "--json")

    assert (off.document["state"], on.document["state"]) == ("disabled", "active")
    assert (refused.code, "is disabled; enable it first" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "give --name NAME, --shop-url URL, --method, --token-stdin or --token-env NAME"),
        (["--name", "s", "--shop-url", "x", "--client-id", "c"], "give --secret-stdin or --secret-env NAME"),
        (["--token-stdin", "--secret-env", "CLIENT_SECRET"], "give one of --token-stdin"),
        (["--token-env", "CLIENT_SECRET", "--client-id", "c"], "--client-id belongs to an app"),
        (["--method", "token", "--secret-env", "CLIENT_SECRET"], "--method token takes its access token"),
        (["--method", "client-credentials", "--token-env", "CLIENT_SECRET"], "takes its client secret"),
        (["--secret-env", "NOT_THERE"], "the environment variable NOT_THERE is not set or empty"),
        (["--method", "password"], "password"),
    ],
)
def test_what_a_script_forgot_or_mixed_up_is_named(newcomer: Terminal, options: list[str], told: str) -> None:
    refused = newcomer("connect", "shopify", *options)

    assert refused.code == 2
    assert told in refused.err


def test_a_pasted_token_is_replaced_by_a_token_only(newcomer: Terminal, installation: Installation) -> None:
    newcomer.environment.setenv("TOKEN", "shpat_sandbox")
    connect(newcomer, installation, "--token-env", "TOKEN")

    wrong = newcomer("connections", "authorize", "s", "--secret-env", "CLIENT_SECRET")
    none = newcomer("connections", "authorize", "s")
    good = newcomer("connections", "authorize", "s", "--token-env", "TOKEN", "--json")

    assert (wrong.code, none.code, good.code) == (2, 2, 0)
    assert "give its access token by --token-stdin or --token-env NAME" in wrong.err
    assert good.document["state"] == "active"
