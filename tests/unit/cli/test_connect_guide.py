"""What the answers to `calibr connect shopify` become, and what a script still has to give."""

import pytest

from calibr.cli.connect_guide import Answers, Method, store_address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("my-store", "https://my-store.myshopify.com"),
        (" my-store.myshopify.com/ ", "https://my-store.myshopify.com"),
        ("https://my-store.myshopify.com", "https://my-store.myshopify.com"),
        ("http://127.0.0.1:8485", "http://127.0.0.1:8485"),
        ("", ""),
    ],
)
def test_a_store_may_be_written_by_its_name_alone(written: str, address: str) -> None:
    assert store_address(written) == address


@pytest.mark.parametrize(
    ("answers", "missing"),
    [
        (Answers(), ["--name NAME", "--shop-url URL", "--method, --token-stdin or --token-env NAME"]),
        (Answers("n", "s", Method.TOKEN), ["--token-stdin or --token-env NAME"]),
        (Answers("n", "s", Method.TOKEN, secret="t"), []),
        (Answers("n", "s", Method.CLIENT_CREDENTIALS), ["--client-id ID", "--secret-stdin or --secret-env NAME"]),
        (Answers("n", "s", Method.AUTHORIZATION_CODE, "c", "t"), []),
    ],
)
def test_what_is_missing_is_named_by_its_option(answers: Answers, missing: list[str]) -> None:
    assert answers.missing() == missing


def test_a_pasted_token_and_an_app_make_different_connections() -> None:
    pasted = Answers("n", "shop", Method.TOKEN, None, "shpat_x", "2026-07")
    app = Answers("n", "shop", Method.AUTHORIZATION_CODE, "client", "shpss_x")

    url = "https://shop.myshopify.com"
    assert pasted.body() == {
        "kind": "shopify",
        "name": "n",
        "config": {"shop_url": url, "api_version": "2026-07"},
        "secrets": {"access_token": "shpat_x"},
    }
    assert app.body() == {
        "kind": "shopify",
        "name": "n",
        "config": {"shop_url": url, "auth": {"method": "authorization_code", "client_id": "client"}},
        "secrets": {"client_secret": "shpss_x"},
    }
    assert "shpat_x" not in repr(pasted)
