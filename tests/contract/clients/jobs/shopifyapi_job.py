"""The old official `ShopifyAPI`: be authorized by the merchant, read over REST and GraphQL, change a price."""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request

import shopify

READ = "{ products(first: 3) { nodes { id variants(first: 5) { nodes { id price } } } } }"
WRITE = """mutation($productId: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $productId, variants: $variants) {
    productVariants { price compareAtPrice } userErrors { message } } }"""


class _Stay(urllib.request.HTTPRedirectHandler):
    """The browser that is sent back to the app: the test looks where to."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


def main() -> None:
    """Read the job from the first argument, and print what came of it."""
    job = json.loads(sys.argv[1])
    shopify.Session.setup(api_key=job["client_id"], secret=job["client_secret"])
    session = shopify.Session(job["shop"], "2026-10")
    consent = session.create_permission_url(["write_products"], job["redirect_url"], "nonce & more")
    sent_back = _open(consent)
    parameters = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sent_back).query))
    forged = {**parameters, "shop": "evil.myshopify.com"}
    token = session.request_token(parameters)
    shopify.ShopifyResource.activate_session(session)
    products = json.loads(shopify.GraphQL().execute(READ))["data"]["products"]["nodes"]
    variants = [{"id": products[0]["variants"]["nodes"][0]["id"], "price": job["price"], "compareAtPrice": None}]
    written = shopify.GraphQL().execute(WRITE, {"productId": products[0]["id"], "variants": variants})
    shopify.ShopifyResource.activate_session(shopify.Session(job["shop"], "2026-10", "shpat_wrong"))
    report = {
        "state": parameters["state"],
        "genuine": [shopify.Session.validate_params(parameters), shopify.Session.validate_params(forged)],
        "scopes": str(session.access_scopes),
        "token": token,
        "sent": variants[0]["id"],
        "written": json.loads(written)["data"]["productVariantsBulkUpdate"],
        "wrong_token": _status_of(lambda: shopify.GraphQL().execute(READ)),
    }
    shopify.ShopifyResource.activate_session(session)
    report["shop"] = shopify.Shop.current().attributes["myshopify_domain"]
    report["granted"] = [scope.handle for scope in shopify.AccessScope.find()]
    print(json.dumps(report))


def _open(url: str) -> str:
    try:
        urllib.request.build_opener(_Stay).open(url)
    except urllib.error.HTTPError as answer:
        return answer.headers["Location"]
    raise SystemExit("the merchant was not asked")


def _status_of(call: object) -> int:
    try:
        call()
    except urllib.error.HTTPError as error:
        return error.code
    return 200


main()
