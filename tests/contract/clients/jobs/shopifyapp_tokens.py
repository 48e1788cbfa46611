"""Shopify's `shopifyapp`: exchange a session token, refresh what it bought, and be told of a token that has ended."""

import json
import sys
from dataclasses import asdict

from shopify_app import ShopifyApp

LONG_AGO = "2020-01-01T00:00:00Z"


def main() -> None:
    """Read the job from the first argument, and print what came of it."""
    job = json.loads(sys.argv[1])
    app = ShopifyApp(job["client_id"], job["client_secret"])
    shown = app.verify_app_home_req(
        {
            "method": "GET",
            "headers": {"Authorization": f"Bearer {job['session_token']}"},
            "url": "https://app.example/api",
            "body": "",
        },
        "/patch-id-token",
    )
    bought = app.exchange_using_token_exchange("offline", shown.id_token)
    old = bought.access_token
    pair = {**asdict(old), "expires": LONG_AGO}
    refreshed, again = (app.refresh_token_exchanged_access_token(pair) for _ in range(2))
    moved_on = app.refresh_token_exchanged_access_token({**asdict(refreshed.access_token), "expires": LONG_AGO})
    stale = app.refresh_token_exchanged_access_token(pair)

    def ask(token: str) -> str:
        return app.admin_graphql_request("{ shop { name } }", job["shop"], token, "2026-10").log.code

    wrong = ShopifyApp(job["client_id"], "shpss_wrong").exchange_using_client_credentials(job["shop"])
    report = {
        "verified": shown.log.code,
        "bought": [bought.log.code, bool(old.refresh_token)],
        "refreshed": [refreshed.log.code, refreshed.access_token.token != old.token],
        "again_is_the_same": again.access_token.refresh_token == refreshed.access_token.refresh_token,
        "moved_on": moved_on.log.code,
        "stale": stale.log.code,
        "old_token": ask(old.token),
        "new_token": ask(moved_on.access_token.token),
        "wrong_secret": wrong.log.code,
    }
    print(json.dumps(report))


main()
