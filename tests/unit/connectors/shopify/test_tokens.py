"""When a token is renewed, and what happens to the call that met a refused one."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2
import pytest
from scripted_store import ScriptedStore, SentCall, answers, fails

from calibr.connectors.port.credentials import Credential, Issue, Issued
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.config import StoreConfig
from calibr.connectors.shopify.documents import SHOP, UPDATE_PRICES
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.methods import AppAuth, AuthMethod
from calibr.connectors.shopify.oauth import OAuth
from calibr.connectors.shopify.throttle import Throttle
from calibr.connectors.shopify.tokens import Tokens
from calibr.core.errors import Unavailable, Upstream

APP = AppAuth(AuthMethod.CLIENT_CREDENTIALS, "client-1", "shpss_secret")
CONFIG = StoreConfig("https://test.myshopify.com", "2026-10", is_loopback=False, app=APP)
PASTED = StoreConfig("https://test.myshopify.com", "2026-10", is_loopback=False, access_token="shpat_pasted")


@dataclass
class Keeper:
    """Keeps one credential in memory, as the database does."""

    kept: Credential | None = None
    lives_s: float | None = 3600.0
    error: Exception | None = None
    refusals: list[tuple[str, str]] = field(default_factory=list)

    def current(self) -> Credential | None:
        return self.kept

    def renew(self, seen: int, issue: Issue) -> Credential:
        if self.error is not None:
            raise self.error
        if self.kept is not None and self.kept.generation > seen:
            return self.kept
        issued: Issued = issue("shprt_kept")
        early = None if self.lives_s is None else self.lives_s * 0.9
        number = 1 if self.kept is None else self.kept.generation + 1
        self.kept = Credential(issued.access_token, number, self.lives_s, early)
        return self.kept

    def refused(self, seen: int, code: str, message: str) -> None:
        assert seen <= (0 if self.kept is None else self.kept.generation)
        self.refusals.append((code, message))


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Issuer:
    """The token endpoint: gives another token each time, or refuses."""

    status: int = 200
    given: int = 0

    def handle(self, _request: httpx2.Request) -> httpx2.Response:
        if self.status != 200:
            return httpx2.Response(self.status, json={"error": "invalid_client"})
        self.given += 1
        return httpx2.Response(200, json={"access_token": f"shpat_{self.given}", "expires_in": 86399})


def tokens_of(issuer: Issuer, keeper: Keeper, clock: Clock, config: StoreConfig = CONFIG) -> Tokens:
    oauth = None if config.app is None else OAuth(config, config.app, transport=httpx2.MockTransport(issuer.handle))
    made = Tokens(config, oauth, clock)
    made.use_keeper(keeper)
    return made


def test_a_token_is_asked_for_once_and_again_before_it_ends() -> None:
    issuer, keeper, clock = Issuer(), Keeper(), Clock()
    tokens = tokens_of(issuer, keeper, clock)

    seen = [tokens.get().text]
    clock.now += 3200
    seen.append(tokens.get().text)
    clock.now += 60
    seen.append(tokens.get().text)

    assert seen == ["shpat_1", "shpat_1", "shpat_2"]


def test_what_another_process_keeps_is_used_without_asking() -> None:
    issuer, keeper = Issuer(), Keeper(Credential("shpat_theirs", 4, 3600.0, 3240.0))

    assert tokens_of(issuer, keeper, Clock()).get().text == "shpat_theirs"
    assert issuer.given == 0


def test_while_the_old_one_lives_a_token_endpoint_that_stumbles_is_no_trouble() -> None:
    issuer, keeper, clock = Issuer(), Keeper(), Clock()
    tokens = tokens_of(issuer, keeper, clock)
    tokens.get()
    issuer.status = 503
    clock.now += 3300

    assert tokens.get().text == "shpat_1"
    issuer.status = 200
    assert tokens.get().text == "shpat_1", "it is not asked again with every call"
    clock.now += 31
    assert tokens.get().text == "shpat_2"


def test_when_the_old_one_is_over_it_is() -> None:
    issuer, keeper, clock = Issuer(), Keeper(), Clock()
    tokens = tokens_of(issuer, keeper, clock)
    tokens.get()
    issuer.status = 503
    clock.now += 3601

    with pytest.raises(CallError, match="HTTP 503"):
        tokens.get()


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (Upstream("connection.uninstalled", "The app was removed."), "upstream.unauthorized", False),
        (Unavailable("db.unavailable", "The database does not answer.", retryable=True), "upstream.unavailable", True),
    ],
)
def test_what_the_keeper_cannot_do_is_an_error_of_the_call(error: Exception, code: str, *, retryable: bool) -> None:
    keeper = Keeper(error=error)

    with pytest.raises(CallError) as caught:
        tokens_of(Issuer(), keeper, Clock()).get()

    assert (caught.value.code, caught.value.retryable, keeper.refusals) == (code, retryable, [])


def test_a_refused_app_is_told_to_the_keeper() -> None:
    keeper = Keeper()

    with pytest.raises(CallError):
        tokens_of(Issuer(status=401), keeper, Clock()).get()

    assert [code for code, _ in keeper.refusals] == ["upstream.unauthorized"]


def test_how_long_it_lives_is_known() -> None:
    clock = Clock()
    tokens = tokens_of(Issuer(), Keeper(), clock)

    assert tokens.expires_in_s() is None
    tokens.get()
    clock.now += 600
    assert tokens.expires_in_s() == 3000
    pasted = tokens_of(Issuer(), Keeper(), clock, PASTED)
    pasted.get()
    assert pasted.expires_in_s() is None


def only(token: str) -> Callable[[SentCall], httpx2.Response]:
    """Take calls with one token only."""

    def reply(call: SentCall) -> httpx2.Response:
        good = call.request.headers["X-Shopify-Access-Token"] == token
        return (answers({"shop": {"name": "T", "currencyCode": "USD"}}) if good else fails(401))(call)

    return reply


def client_of(store: ScriptedStore, tokens: Tokens) -> ShopifyClient:
    transport = httpx2.MockTransport(store.handle)
    return ShopifyClient(CONFIG, Throttle(), connections=4, transport=transport, tokens=tokens)


def test_a_call_that_meets_a_refused_token_goes_on_with_another_one() -> None:
    store, issuer, keeper = ScriptedStore(), Issuer(), Keeper()
    store.on(UPDATE_PRICES.name, only("shpat_2"))
    client = client_of(store, tokens_of(issuer, keeper, Clock()))

    data = client.call(UPDATE_PRICES, {"productId": "p"}, rows=1, until=client.throttle.clock() + 5)

    assert data["shop"]["name"] == "T"
    sent = store.sent(UPDATE_PRICES.name)
    assert [call.variables for call in sent] == [{"productId": "p"}] * 2
    assert keeper.refusals == []
    assert client.throttle.view().refused == 0


def test_a_second_refusal_is_the_end_and_told(store: ScriptedStore) -> None:
    issuer, keeper = Issuer(), Keeper()
    store.on("CalibrShop", fails(401))
    client = client_of(store, tokens_of(issuer, keeper, Clock()))

    with pytest.raises(CallError, match="HTTP 401"):
        client.call(SHOP, {}, rows=1, until=client.throttle.clock() + 5)

    assert len(store.sent("CalibrShop")) == 2
    assert len(keeper.refusals) == 1


@pytest.mark.parametrize(("config", "status"), [(PASTED, 401), (CONFIG, 403)])
def test_what_no_renewal_could_mend_is_not_renewed(store: ScriptedStore, config: StoreConfig, status: int) -> None:
    issuer, keeper = Issuer(), Keeper()
    store.on("CalibrShop", fails(status))
    client = client_of(store, tokens_of(issuer, keeper, Clock(), config))

    with pytest.raises(CallError, match=f"HTTP {status}"):
        client.call(SHOP, {}, rows=1, until=client.throttle.clock() + 5)

    assert len(store.sent("CalibrShop")) == 1
    assert len(keeper.refusals) == 1


def test_a_token_is_in_no_message(store: ScriptedStore) -> None:
    store.on("CalibrShop", fails(401, {"errors": "bad token shpat_pasted"}))
    client = client_of(store, tokens_of(Issuer(), Keeper(), Clock(), PASTED))

    with pytest.raises(CallError) as caught:
        client.call(SHOP, {}, rows=1, until=client.throttle.clock() + 5)

    assert "shpat_pasted" not in str(caught.value)


def test_a_connection_that_nobody_agreed_to_says_so() -> None:
    app = AppAuth(AuthMethod.AUTHORIZATION_CODE, "client-1", "shpss_secret")
    config = StoreConfig("https://test.myshopify.com", "2026-10", is_loopback=False, app=app)

    class Empty(Keeper):
        def renew(self, seen: int, issue: Issue) -> Credential:
            assert seen < 0
            raise AssertionError(issue(None))

    with pytest.raises(CallError, match="has not agreed yet"):
        tokens_of(Issuer(), Empty(), Clock(), config).get()
