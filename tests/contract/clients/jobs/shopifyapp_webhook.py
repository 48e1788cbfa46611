"""Shopify's `shopifyapp`: verify webhooks as they came in, with one secret and with an old one beside it."""

import json
import sys

from shopify_app import ShopifyApp


def main() -> None:
    """Read the job from the first argument: requests, and the secrets to verify each with."""
    job = json.loads(sys.argv[1])
    apps = [ShopifyApp(job["client_id"], secret, old) for secret, old in job["secrets"]]
    print(json.dumps([[app.verify_webhook_req(request).log.code for app in apps] for request in job["requests"]]))


main()
