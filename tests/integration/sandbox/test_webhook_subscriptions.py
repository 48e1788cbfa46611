"""Webhook subscriptions over the API: made, read, changed, ended, told, and gone when they fail for too long."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from market_shop import Markets
from webhook_receiver import Receiver, await_that, receiving

from calibr_sandbox import courier
from calibr_sandbox.testing import StartedSandbox, Starter

RED = "45100000000001"
SHIRT = 8_100_000_000_001
CREATE = """mutation($topic: WebhookSubscriptionTopic!, $given: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $given) {
    webhookSubscription { id topic uri callbackUrl format filter includeFields metafieldNamespaces name
      apiVersion { handle supported } endpoint { __typename ... on WebhookHttpEndpoint { callbackUrl }
        ... on WebhookEventBridgeEndpoint { arn } ... on WebhookPubSubEndpoint { pubSubProject pubSubTopic } } }
    userErrors { field message } } }"""
UPDATE = """mutation($id: ID!, $given: WebhookSubscriptionInput!) {
  webhookSubscriptionUpdate(id: $id, webhookSubscription: $given) {
    webhookSubscription { topic uri format includeFields name } userErrors { field message } } }"""
DELETE = """mutation($id: ID!) { webhookSubscriptionDelete(id: $id) {
  deletedWebhookSubscriptionId userErrors { field message } } }"""
LIST = """query($topics: [WebhookSubscriptionTopic!], $uri: String, $after: String,
  $sort: WebhookSubscriptionSortKeys) {
  webhookSubscriptions(first: 2, topics: $topics, uri: $uri, sortKey: $sort, after: $after) {
    nodes { id topic } pageInfo { hasNextPage endCursor } } }"""
COUNT = "{ webhookSubscriptionsCount { count } }"
HOOK = "https://example.com/hook"
ADDRESS = ["webhookSubscription", "callbackUrl"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def api(sandbox: StartedSandbox) -> Markets:
    return Markets(sandbox)


def _create(api: Markets, topic: str = "PRODUCTS_UPDATE", **given: Any) -> str:  # noqa: ANN401 - JSON
    payload = api.call(CREATE, topic=topic, given=given)
    assert payload["userErrors"] == []
    return str(payload["webhookSubscription"]["id"])


def _refusal(payload: dict[str, Any]) -> tuple[object, object]:
    assert payload["webhookSubscription"] is None
    (error,) = payload["userErrors"]
    return error["field"], error["message"]


def _set_price(sandbox: StartedSandbox, price: str) -> None:
    assert sandbox.client.request("POST", f"/sandbox/variants/{RED}", {"price": price}).status == 200


def _stats(sandbox: StartedSandbox) -> dict[str, int]:
    found: dict[str, int] = sandbox.client.request("GET", "/sandbox/stats").body["webhooks"]
    return found


def test_a_subscription_shows_what_it_was_made_with(api: Markets) -> None:
    given = {"uri": f"  {HOOK}\n", "includeFields": ["id"], "filter": "", "name": "prices"}
    made = api.call(CREATE, topic="PRODUCTS_UPDATE", given=given)["webhookSubscription"]

    assert (made["uri"], made["callbackUrl"], made["topic"]) == (HOOK, HOOK, "PRODUCTS_UPDATE")
    assert (made["format"], made["filter"], made["name"]) == ("JSON", "", "prices")
    assert (made["includeFields"], made["metafieldNamespaces"]) == (["id"], [])
    assert made["endpoint"] == {"__typename": "WebhookHttpEndpoint", "callbackUrl": HOOK}
    assert made["apiVersion"] == {"handle": "2026-10", "supported": True}
    assert api.call("query($id: ID!) { node(id: $id) { id } }", id=made["id"]) == {"id": made["id"]}


@pytest.mark.parametrize(
    ("uri", "endpoint"),
    [
        (
            "pubsub://my-project:my-topic",
            {"__typename": "WebhookPubSubEndpoint", "pubSubProject": "my-project", "pubSubTopic": "my-topic"},
        ),
        (
            "arn:aws:events:us-east-1::event-source/aws.partner/shopify.com/123/prices",
            {
                "__typename": "WebhookEventBridgeEndpoint",
                "arn": "arn:aws:events:us-east-1::event-source/aws.partner/shopify.com/123/prices",
            },
        ),
    ],
)
def test_other_kinds_of_endpoints_are_kept(api: Markets, uri: str, endpoint: dict[str, str]) -> None:
    made = api.call(CREATE, topic="PRODUCTS_UPDATE", given={"uri": uri})

    assert made["webhookSubscription"]["endpoint"] == endpoint


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (None, "Address can't be blank"),
        ("  \t ", "Address can't be blank"),
        ("http://example.com/hook", "Address protocol http:// is not supported"),
        ("ftp://example.com/hook", "Address protocol ftp:// is not supported"),
        ("https://localhost/hook", "Address cannot be a Shopify or an internal domain"),
        ("https://10.1.2.3/hook", "Address cannot be a Shopify or an internal domain"),
        ("https://shop.myshopify.com/hook", "Address cannot be a Shopify or an internal domain"),
        ("example.com/hook", "Address is invalid"),
        ("https://", "Address is invalid"),
        ("https://example.com/" + "a" * 70_000, "Address is too big (maximum is 64 KB)"),
    ],
)
def test_an_address_that_webhooks_cannot_go_to_is_refused(api: Markets, uri: str | None, message: str) -> None:
    assert _refusal(api.call(CREATE, topic="PRODUCTS_UPDATE", given={"uri": uri})) == (ADDRESS, message)
    assert api.call(COUNT) == {"count": 0}


def test_an_address_hears_of_a_topic_once(api: Markets) -> None:
    _create(api, uri=HOOK)
    other = _create(api, "PRODUCTS_DELETE", uri=HOOK)
    third = _create(api, uri=f"{HOOK}/2")
    taken = (ADDRESS, "Address for this topic has already been taken")

    assert _refusal(api.call(CREATE, topic="PRODUCTS_UPDATE", given={"uri": HOOK})) == taken
    assert _refusal(api.call(UPDATE, id=third, given={"uri": HOOK})) == taken
    assert api.call(UPDATE, id=other, given={"uri": HOOK})["userErrors"] == []


def test_an_address_may_hear_of_a_topic_through_several_filters(api: Markets) -> None:
    first = _create(api, uri=HOOK, filter="vendor:Acme", name="acme")
    second = _create(api, uri=HOOK, filter="vendor:Kumo", name="kumo")

    same = api.call(UPDATE, id=second, given={"filter": "vendor:Acme"})
    assert _refusal(same) == (ADDRESS, "Address for this topic has already been taken")
    assert first != second


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("taken", "Name has already been taken"),
        ("a" * 51, "Name is too long (maximum is 50 characters)"),
        ("two words", "Name can only contain alphanumeric characters, underscores, and hyphens"),
        ("", "Name can only contain alphanumeric characters, underscores, and hyphens"),
    ],
)
def test_a_name_is_short_plain_and_the_shops_only_one(api: Markets, name: str, message: str) -> None:
    _create(api, uri=HOOK, name="taken")

    refused = api.call(CREATE, topic="PRODUCTS_DELETE", given={"uri": HOOK, "name": name})
    assert _refusal(refused) == (["webhookSubscription", "name"], message)


def test_an_update_changes_what_it_names_and_keeps_the_rest(api: Markets) -> None:
    number = _create(api, uri=HOOK, includeFields=["id"], name="prices")

    changed = api.call(UPDATE, id=number, given={"callbackUrl": f"{HOOK}/2"})["webhookSubscription"]
    refused = api.call(UPDATE, id=number, given={"uri": "http://example.com"})

    assert changed == {
        "topic": "PRODUCTS_UPDATE",
        "uri": f"{HOOK}/2",
        "format": "JSON",
        "includeFields": ["id"],
        "name": "prices",
    }
    assert refused["webhookSubscription"] is None
    assert api.call(LIST, uri=f"{HOOK}/2")["nodes"] == [{"id": number, "topic": "PRODUCTS_UPDATE"}]


def test_what_does_not_exist_is_neither_changed_nor_deleted(api: Markets) -> None:
    number = _create(api, uri=HOOK)

    assert api.call(DELETE, id=number) == {"deletedWebhookSubscriptionId": number, "userErrors": []}
    again = api.call(DELETE, id=number)
    assert (again["deletedWebhookSubscriptionId"], again["userErrors"][0]["field"]) == (None, ["id"])
    assert _refusal(api.call(UPDATE, id=number, given={"uri": HOOK})) == (
        ["id"],
        "Webhook subscription does not exist",
    )
    assert _create(api, uri=HOOK) != number


def test_subscriptions_are_listed_page_by_page_and_filtered(api: Markets) -> None:
    made = [_create(api, topic, uri=HOOK) for topic in ("PRODUCTS_UPDATE", "PRODUCTS_DELETE", "SHOP_UPDATE")]

    first = api.call(LIST)
    second = api.call(LIST, after=first["pageInfo"]["endCursor"])
    chosen = api.call(LIST, topics=["SHOP_UPDATE", "ORDERS_CREATE"], sort="ID")

    assert [each["id"] for each in first["nodes"] + second["nodes"]] == made
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    assert [each["id"] for each in chosen["nodes"]] == [made[2]]


def test_a_subscription_is_told_of_its_topic_under_its_name_with_its_fields(
    api: Markets, sandbox: StartedSandbox, receiver: Receiver
) -> None:
    _create(api, uri=receiver.url, name="prices", includeFields=["id", "variants.price"])
    _create(api, "SHOP_UPDATE", uri=receiver.url)
    _create(api, uri=HOOK)
    _set_price(sandbox, "5")
    await_that(lambda: len(receiver.tries) == 1)

    headers, body = receiver.tries[0]
    assert json.loads(body) == {"id": SHIRT, "variants": [{"price": "5.00"}, {"price": "11.00"}]}
    assert (headers["X-Shopify-Name"], headers["X-Shopify-Topic"]) == ("prices", "products/update")
    assert _stats(sandbox)["queued"] == 1


def test_an_update_moves_and_a_deletion_ends_the_sending(
    api: Markets, sandbox: StartedSandbox, receiver: Receiver
) -> None:
    number = _create(api, uri=f"{receiver.url}/old")
    api.call(UPDATE, id=number, given={"uri": f"{receiver.url}/new"})
    _set_price(sandbox, "5")
    await_that(lambda: len(receiver.tries) == 1)
    api.call(DELETE, id=number)
    _set_price(sandbox, "6")

    assert _stats(sandbox)["queued"] == 1
    assert "X-Shopify-Name" not in receiver.tries[0][0]


def test_a_subscription_outlives_the_server(api: Markets, start: Starter) -> None:
    with receiving() as receiver:
        _create(api, uri=receiver.url)
        again = start()
        _set_price(again, "7")
        await_that(lambda: len(receiver.tries) == 1)

        assert receiver.prices() == ["7.00"]


def test_after_eight_failed_retries_in_a_row_the_subscription_is_gone(start: Starter, receiver: Receiver) -> None:
    sandbox = start(webhook_speed=1e6)
    api = Markets(sandbox)
    receiver.answers.extend([500] * (1 + courier.RETRIES))
    failing = _create(api, uri=receiver.url)
    kept = _create(api, "PRODUCTS_DELETE", uri=receiver.url)
    _set_price(sandbox, "1")
    await_that(lambda: _stats(sandbox)["subscriptions_deleted"] == 1)
    _set_price(sandbox, "2")

    assert api.call(LIST)["nodes"] == [{"id": kept, "topic": "PRODUCTS_DELETE"}]
    assert failing not in [each["id"] for each in api.call(LIST)["nodes"]]
    assert receiver.prices() == ["1.00"] * (1 + courier.RETRIES)
    assert _stats(sandbox)["queued"] == 1


def test_a_delivery_in_between_saves_the_subscription(start: Starter, receiver: Receiver) -> None:
    sandbox = start(webhook_speed=5e4)
    api = Markets(sandbox)
    receiver.answers.extend([500] * courier.RETRIES)
    _create(api, uri=receiver.url)
    _set_price(sandbox, "1")
    await_that(lambda: _stats(sandbox)["delivered"] == 1)

    assert api.call(COUNT) == {"count": 1}


def test_the_pauses_double_and_fill_four_hours() -> None:
    pauses = [courier.pause_after(tries) for tries in range(1, courier.RETRIES + 1)]

    assert sum(pauses) == pytest.approx(4 * 3600)
    assert [later / earlier for earlier, later in pairwise(pauses)] == pytest.approx([2.0] * 7)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"topic": "products/create", "product": SHIRT}, {"id": SHIRT, "handle": "shirt"}),
        ({"topic": "products/delete", "product": f"gid://shopify/Product/{SHIRT}"}, {"id": SHIRT}),
        ({"topic": "app/uninstalled"}, {"myshopify_domain": "calibr-sandbox.myshopify.com"}),
        ({"topic": "app/scopes_update", "current": ["read_products"]}, {"current": ["read_products"]}),
        ({"topic": "customers/redact", "body": {"orders_to_redact": []}}, {"orders_to_redact": []}),
        ({"topic": "customers/data_request"}, {"orders_requested": [299_938]}),
        ({"topic": "shop/redact"}, {"shop_domain": "calibr-sandbox.myshopify.com"}),
    ],
)
def test_what_nothing_causes_is_triggered(
    sandbox: StartedSandbox, receiver: Receiver, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    sandbox.client.request("POST", "/sandbox/webhooks", {"topic": given["topic"], "url": receiver.url})

    answer = sandbox.client.request("POST", "/sandbox/webhooks/trigger", given)
    await_that(lambda: len(receiver.tries) == 1)

    headers, body = receiver.tries[0]
    assert answer.body == {"topic": given["topic"], "subscribers": 1}
    assert headers["X-Shopify-Topic"] == given["topic"]
    assert expected.items() <= json.loads(body).items()


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"topic": "orders/create"}, 400),
        ({"topic": "products/create"}, 400),
        ({"topic": "products/create", "product": True}, 400),
        ({"topic": "products/create", "product": 1}, 404),
        ({"topic": "bulk_operations/finish", "operation": 1}, 404),
        ({"topic": "app/scopes_update", "current": "read_products"}, 400),
        ({"topic": "shop/redact", "body": []}, 400),
    ],
)
def test_a_trigger_that_makes_no_sense_is_refused(
    unchanged: StartedSandbox, given: dict[str, Any], status: int
) -> None:
    assert unchanged.client.request("POST", "/sandbox/webhooks/trigger", given).status == status


def test_the_end_of_a_bulk_operation_is_told(api: Markets, receiver: Receiver) -> None:
    _create(api, "BULK_OPERATIONS_FINISH", uri=receiver.url)
    run = """mutation { bulkOperationRunQuery(query: "{ products { edges { node { id } } } }") {
      bulkOperation { id } userErrors { message } } }"""
    number = api.call(run)["bulkOperation"]["id"]
    await_that(lambda: len(receiver.tries) == 1)

    told = json.loads(receiver.tries[0][1])
    assert (told["admin_graphql_api_id"], told["status"], told["type"]) == (number, "completed", "query")
    assert told["error_code"] is None


def test_an_answer_that_trickles_in_is_no_answer(api: Markets, sandbox: StartedSandbox) -> None:
    """The five seconds are a total, however little by little a receiver writes."""
    listener = socket.create_server(("127.0.0.1", 0))
    is_done = threading.Event()

    def trickle() -> None:
        peer, _ = listener.accept()
        with peer:
            while not is_done.is_set():
                try:
                    peer.sendall(b"H")
                except OSError:
                    return
                time.sleep(0.2)

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    began = time.monotonic()
    try:
        _create(api, uri=f"http://127.0.0.1:{listener.getsockname()[1]}/")
        _set_price(sandbox, "5")
        await_that(lambda: _stats(sandbox)["failed_tries"] >= 1)
    finally:
        is_done.set()
        listener.close()
        thread.join()

    assert 4 < time.monotonic() - began < 8


def test_an_app_that_is_uninstalled_hears_of_it_and_loses_its_subscriptions(
    api: Markets, sandbox: StartedSandbox, receiver: Receiver
) -> None:
    _create(api, "APP_UNINSTALLED", uri=receiver.url)
    _create(api, uri=receiver.url)
    for state in (False, False, True):
        assert sandbox.client.request("POST", "/sandbox/app", {"installed": state}).status == 200
    await_that(lambda: _stats(sandbox)["delivered"] == 1)
    _set_price(sandbox, "5")

    headers, body = receiver.tries[0]
    assert headers["X-Shopify-Topic"] == "app/uninstalled"
    assert json.loads(body)["myshopify_domain"] == "calibr-sandbox.myshopify.com"
    assert _stats(sandbox)["queued"] == 1
    assert sandbox.shop.store.fetch_value("SELECT count(*) FROM webhook_subscription") == 0


def test_scopes_that_change_are_told_once(api: Markets, sandbox: StartedSandbox, receiver: Receiver) -> None:
    _create(api, "APP_SCOPES_UPDATE", uri=receiver.url)
    for _ in range(2):
        sandbox.client.request("POST", "/sandbox/app", {"scopes": ["read_products"]})
    await_that(lambda: _stats(sandbox)["delivered"] == 1)

    told = json.loads(receiver.tries[0][1])
    assert told["current"] == ["read_products"]
    assert set(told["previous"]) > {"read_products", "write_products"}
    assert _stats(sandbox)["queued"] == 1


ARN = "arn:aws:events:us-east-1::event-source/aws.partner/shopify.com/123/prices"
TO_BRIDGE = ("eventBridgeWebhookSubscription", "EventBridgeWebhookSubscriptionInput", "")
TO_PUBSUB = ("pubSubWebhookSubscription", "PubSubWebhookSubscriptionInput", "code")
TOPIC = {"pubSubProject": "my-project", "pubSubTopic": "prices"}
OF_TOPIC = {"__typename": "WebhookPubSubEndpoint", **TOPIC}
_SHOWN = """webhookSubscription { id topic uri callbackUrl legacyResourceId format filter includeFields
  metafieldNamespaces metafields { namespace key } name endpoint { __typename ... on WebhookHttpEndpoint { callbackUrl }
    ... on WebhookEventBridgeEndpoint { arn } ... on WebhookPubSubEndpoint { pubSubProject pubSubTopic } } }"""
TAKEN = "Address for this topic has already been taken"


def _made_by(api: Markets, kind: tuple[str, str, str], given: dict[str, Any], topic: str = "SHOP_UPDATE") -> Any:  # noqa: ANN401
    field, input_type, code = kind
    return api.call(
        f"""mutation($topic: WebhookSubscriptionTopic!, $given: {input_type}!) {{
        {field}Create(topic: $topic, webhookSubscription: $given) {{
          {_SHOWN} userErrors {{ field message {code} }} }} }}""",
        topic=topic,
        given=given,
    )


def _changed_by(api: Markets, kind: tuple[str, str, str], number: str, given: dict[str, Any]) -> Any:  # noqa: ANN401
    field, input_type, code = kind
    return api.call(
        f"""mutation($id: ID!, $given: {input_type}!) {{ {field}Update(id: $id, webhookSubscription: $given) {{
          {_SHOWN} userErrors {{ field message {code} }} }} }}""",
        id=number,
        given=given,
    )


@pytest.mark.parametrize(
    ("kind", "where", "uri", "endpoint"),
    [
        (TO_BRIDGE, {"arn": f" {ARN} "}, ARN, {"__typename": "WebhookEventBridgeEndpoint", "arn": ARN}),
        (TO_PUBSUB, TOPIC, "pubsub://my-project:prices", OF_TOPIC),
    ],
)
def test_each_kind_of_destination_has_mutations_of_its_own(
    api: Markets, kind: tuple[str, str, str], where: dict[str, str], uri: str, endpoint: dict[str, str]
) -> None:
    more = {"format": "JSON", "filter": "id:1", "includeFields": ["id"], "metafieldNamespaces": ["custom"]}
    payload = _made_by(api, kind, {**where, **more, "name": "prices", "metafields": [{"namespace": "a", "key": "b"}]})
    made = payload["webhookSubscription"]

    assert payload["userErrors"] == []
    assert {name: made[name] for name in more} == more
    assert (made["uri"], made["callbackUrl"], made["endpoint"], made["name"]) == (uri, uri, endpoint, "prices")
    assert made["metafields"] == [{"namespace": "a", "key": "b"}]
    assert made["id"].endswith(f"/{made['legacyResourceId']}")
    assert api.call(LIST, uri=uri)["nodes"] == [{"id": made["id"], "topic": "SHOP_UPDATE"}]


@pytest.mark.parametrize(
    ("kind", "given", "field", "message"),
    [
        (TO_BRIDGE, {}, "arn", "Address can't be blank"),
        (TO_BRIDGE, {"arn": "arn:aws:s3:::bucket"}, "arn", "Address is invalid"),
        (TO_BRIDGE, {"arn": HOOK}, "arn", "Address is invalid"),
        (TO_PUBSUB, TOPIC | {"pubSubProject": ""}, "pubSubProject", "Address is invalid"),
        (TO_PUBSUB, TOPIC | {"pubSubTopic": " "}, "pubSubTopic", "Address is invalid"),
    ],
)
def test_an_address_of_another_kind_is_refused(
    api: Markets, kind: tuple[str, str, str], given: dict[str, str], field: str, message: str
) -> None:
    refused = _made_by(api, kind, given)

    assert _refusal(refused) == (["webhookSubscription", field], message)
    assert refused["userErrors"][0].get("code") == ("INVALID_PARAMETERS" if kind is TO_PUBSUB else None)
    assert api.call(COUNT) == {"count": 0}


def test_all_mutations_know_of_the_same_subscriptions(api: Markets) -> None:
    first = _create(api, "SHOP_UPDATE", uri="pubsub://my-project:prices")
    other = _create(api, "SHOP_UPDATE", uri=HOOK, name="other")
    taken = _made_by(api, TO_PUBSUB, TOPIC)

    assert _refusal(taken) == (["webhookSubscription", "pubSubTopic"], TAKEN)
    assert taken["userErrors"][0]["code"] == "TAKEN"
    moved = _changed_by(api, TO_BRIDGE, first, {"arn": ARN})["webhookSubscription"]
    assert moved["endpoint"] == {"__typename": "WebhookEventBridgeEndpoint", "arn": ARN}
    kept = _changed_by(api, TO_BRIDGE, other, {"includeFields": ["id"]})["webhookSubscription"]
    assert (kept["uri"], kept["includeFields"], kept["name"]) == (HOOK, ["id"], "other")
    assert _changed_by(api, TO_PUBSUB, other, TOPIC)["webhookSubscription"]["endpoint"] == OF_TOPIC
    api.call(DELETE, id=other)
    assert _refusal(_changed_by(api, TO_PUBSUB, other, TOPIC)) == (["id"], "Webhook subscription does not exist")


def test_a_metafield_without_a_namespace_is_one_of_the_app(api: Markets) -> None:
    named = [{"key": "a"}, {"key": "b", "namespace": "$app:prices"}, {"key": "c", "namespace": "custom"}]
    made = _made_by(api, TO_PUBSUB, TOPIC | {"metafields": named})["webhookSubscription"]

    assert made["metafields"] == [
        {"key": "a", "namespace": "app--calibr-sandbox-app"},
        {"key": "b", "namespace": "app--calibr-sandbox-app--prices"},
        {"key": "c", "namespace": "custom"},
    ]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("first: 5", [0, 1, 2]),
        ("last: 2", [1, 2]),
        ("first: 5, reverse: true", [2, 1, 0]),
        ("first: 5, sortKey: ID, reverse: true", [2, 1, 0]),
        ("first: 5, format: XML", [1]),
        ('first: 5, callbackUrl: "https://example.com/hook"', [0, 1]),
        ('first: 5, uri: "pubsub://my-project:prices"', [2]),
        ("first: 5, topics: [SHOP_UPDATE, PRODUCTS_DELETE], format: JSON", [2]),
        ('first: 5, query: "created_at:>2020-01-01"', [0, 1, 2]),
        ('first: 5, query: "NOT updated_at:>2020-01-01"', []),
    ],
)
def test_subscriptions_are_chosen_by_every_argument(api: Markets, arguments: str, found: list[int]) -> None:
    made = [
        _create(api, uri=HOOK),
        _create(api, "PRODUCTS_DELETE", uri=HOOK, format="XML"),
        _made_by(api, TO_PUBSUB, TOPIC)["webhookSubscription"]["id"],
    ]
    nodes = api.call(f"{{ webhookSubscriptions({arguments}) {{ nodes {{ id }} }} }}")["nodes"]

    assert [made.index(each["id"]) for each in nodes] == found
    before = api.call("query($id: String) { webhookSubscriptions(first: 5, query: $id) { nodes { id } } }", id="id:<1")
    assert before["nodes"] == []


@pytest.mark.parametrize(
    ("topic", "text", "is_good"),
    [
        ("SHOP_UPDATE", "acme", False),
        ("SHOP_UPDATE", "vendor: acme", False),
        ("SHOP_UPDATE", "(vendor:acme OR variants.price:>=10) AND NOT status:draft", True),
        ("SHOP_UPDATE", "id:*", True),
        ("SHOP_UPDATE", "", True),
        ("METAOBJECTS_CREATE", None, False),
        ("METAOBJECTS_CREATE", "type:lookbook", True),
    ],
)
def test_a_filter_names_fields_and_metaobjects_need_one(
    api: Markets, topic: str, text: str | None, *, is_good: bool
) -> None:
    payload = api.call(CREATE, topic=topic, given={"uri": HOOK, "filter": text})
    said = "The specified filter is invalid, please ensure you specify the field(s) you wish to filter on."

    assert payload["userErrors"] == ([] if is_good else [{"field": ["webhookSubscription"], "message": said}])
    assert api.call(COUNT) == {"count": int(is_good)}
