"""Shopify's `shopifyapp`: export the catalog by a bulk query, change all prices by a bulk mutation of a staged file."""

import json
import sys
import time

import httpx
from shopify_app import ShopifyApp

EXPORT = """{ products { edges { node { id title variants { edges { node { id price compareAtPrice } } } } } } }"""
RUN_QUERY = """mutation($query: String!) { bulkOperationRunQuery(query: $query) {
  bulkOperation { id } userErrors { field message } } }"""
POLL = """query($id: ID!) { bulkOperation(id: $id) { status errorCode objectCount url } }"""
STAGE = """mutation($input: [StagedUploadInput!]!) { stagedUploadsCreate(input: $input) {
  stagedTargets { url parameters { name value } } userErrors { field message } } }"""
RUN_MUTATION = """mutation($mutation: String!, $path: String!, $tag: String) {
  bulkOperationRunMutation(mutation: $mutation, stagedUploadPath: $path, clientIdentifier: $tag) {
    bulkOperation { id } userErrors { field message code } } }"""
WRITE = """mutation($productId: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $productId, variants: $variants) {
    productVariants { id price } userErrors { field message } } }"""


class Bulk:
    """The calls of one shop."""

    def __init__(self, job: dict) -> None:
        self._app = ShopifyApp(job["client_id"], job["client_secret"])
        self._shop = job["shop"]
        self._token = self._app.exchange_using_client_credentials(self._shop).access_token.token

    def ask(self, query: str, /, **variables: object) -> dict:
        """Return the payload of the only field."""
        done = self._app.admin_graphql_request(query, self._shop, self._token, "2026-10", variables=variables)
        if not done.ok:
            raise SystemExit(done.response.body)
        (payload,) = done.data.values()
        if payload.get("userErrors"):
            raise SystemExit(json.dumps(payload["userErrors"]))
        return payload

    def lines(self, started: dict) -> list:
        """Wait for an operation to end, and fetch its lines."""
        gid = started["bulkOperation"]["id"]
        for _ in range(600):
            found = self.ask(POLL, id=gid)
            if found["status"] == "COMPLETED":
                return [json.loads(line) for line in httpx.get(found["url"]).text.splitlines()]
            time.sleep(0.05)
        raise SystemExit(f"{gid} did not complete: {found}")

    def stage(self, content: str) -> str:
        """Upload a file of variables, and return its path."""
        wanted = {"resource": "BULK_MUTATION_VARIABLES", "filename": "prices.jsonl", "mimeType": "text/jsonl"}
        target = self.ask(STAGE, input=[{**wanted, "httpMethod": "POST"}])["stagedTargets"][0]
        fields = {each["name"]: each["value"] for each in target["parameters"]}
        sent = httpx.post(target["url"], data=fields, files={"file": ("prices.jsonl", content.encode())})
        if sent.status_code != httpx.codes.CREATED:
            raise SystemExit(sent.text)
        return fields["key"]


def main() -> None:
    """Read the job from the first argument, and print what came of it."""
    job = json.loads(sys.argv[1])
    bulk = Bulk(job)
    exported = bulk.lines(bulk.ask(RUN_QUERY, query=EXPORT))
    variants = [line for line in exported if "__parentId" in line]
    by_product: dict = {}
    for line in variants:
        by_product.setdefault(line["__parentId"], []).append({"id": line["id"], "price": job["price"]})
    rows = [json.dumps({"productId": product, "variants": sent}) for product, sent in by_product.items()]
    path = bulk.stage("\n".join(rows))
    answers = bulk.lines(bulk.ask(RUN_MUTATION, mutation=WRITE, path=path, tag="price-change-0001"))
    report = {
        "products": [line["id"] for line in exported if "__parentId" not in line],
        "variants": {line["id"]: [line["price"], line["compareAtPrice"]] for line in variants},
        "parents": len(by_product),
        "line_numbers": sorted(answer["__lineNumber"] for answer in answers),
        "errors": [answer["data"]["productVariantsBulkUpdate"]["userErrors"] for answer in answers],
    }
    print(json.dumps(report))


main()
