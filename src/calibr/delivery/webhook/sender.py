"""One signed message to one receiver, and what its answer means."""

import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpcore2
from standardwebhooks import Webhook

from calibr.delivery.model import Message, Outcome, Ready, Verdict
from calibr.delivery.webhook.addresses import AddressPolicy
from calibr.delivery.webhook.endpoint import Endpoint
from calibr.delivery.webhook.schedule import check_secret
from calibr.delivery.webhook.transport import AddressRefused, Answer, LookupFailed, PublicTransport, Resolver

TIMEOUT_S: Final = 15.0
MAX_RETRY_AFTER_S: Final = 86_400.0

_GONE: Final = 410
_RETRIED: Final = frozenset({408, 409, 425, 429})
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class WebhookReceiver:
    """Delivers messages to a webhook as Standard Webhooks describes it. Thread-safe.

    Each of the secrets signs, so that a receiver may exchange its own at any time of a rotation. `tls` is the trust
    of receivers with an authority of their own. Raises `Invalid` for a secret that is none.
    """

    timeout_s: float

    def __init__(
        self,
        endpoint: Endpoint,
        secrets: Sequence[str],
        *,
        policy: AddressPolicy,
        resolver: Resolver | None = None,
        timeout_s: float = TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        for secret in secrets:
            check_secret(secret)
        if not secrets:
            raise ValueError("a webhook needs at least one secret")
        self.timeout_s = timeout_s
        self._host = endpoint.host
        self._signers = [Webhook(secret) for secret in secrets]
        self._transport = PublicTransport(endpoint, policy, resolver=resolver, tls=tls)

    def deliver(self, message: Message) -> Verdict:
        """Send a message once. A receiver that never answers costs `timeout_s` and no more."""
        try:
            answer = self._transport.post(message.body, self._headers(message), self.timeout_s)
        except AddressRefused:
            return _retry(f"{self._host} leads to an address that is not public; nothing was sent.")
        except LookupFailed:
            return _retry(f"The name {self._host} has no address.")
        except httpcore2.TimeoutException:
            return _retry(f"{self._host} did not answer within {self.timeout_s:g} s.")
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            return _retry(_broken(self._host, error))
        return judge(answer)

    def prepare(self) -> Ready:
        """A webhook is ready until a delivery shows otherwise, and keeps nothing that could be lost."""
        return Ready()

    def confirm(self) -> bool:
        """An answer is all that a webhook says."""
        return True

    def close(self) -> None:
        """End all connections; a delivery that is under way keeps its own to its end."""
        self._transport.close()

    def _headers(self, message: Message) -> dict[str, str]:
        # The clock of this machine: receivers compare the time with their own to tell a recorded message apart.
        now, event_id = datetime.now(UTC), str(message.event_id)
        body = message.body.decode()
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(event_id, now, body) for signer in self._signers),
            "content-type": "application/json",
            "user-agent": "calibr",
        }
        return headers | {"calibr-replay": "true"} if message.is_replay else headers


def judge(answer: Answer) -> Verdict:
    """What an answer means for the message: any 2xx is a delivery, refusals are final, all else may pass."""
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004 - the range of success
        return Verdict(Outcome.DELIVERED)
    if answer.headers.get("webhook-delivery", "").strip().lower() == "abort-message":
        return Verdict(Outcome.POISON, f"The receiver answered {status} and does not want this message again.")
    if status == _GONE:
        return Verdict(Outcome.POISON, "The receiver answered 410: it is gone for good.")
    if 400 <= status < 500 and status not in _RETRIED:  # noqa: PLR2004 - the range of refusals
        return Verdict(Outcome.POISON, f"The receiver refused the message with {status}.")
    redirected = 300 <= status < 400  # noqa: PLR2004 - the range of redirects
    note = "; redirects are not followed" if redirected else ""
    return _retry(f"The receiver answered {status}{note}.", _retry_after_s(answer))


def _retry(reason: str, after_s: float | None = None) -> Verdict:
    return Verdict(Outcome.RETRY, reason, after_s)


def _retry_after_s(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_S)
    until = _read_date(text)
    if until is None:
        return None
    # Against the receiver's own clock where it tells it, so that ours need not agree with it.
    now = _read_date(answer.headers.get("date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def _read_date(text: str) -> datetime | None:
    try:
        read = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


def _broken(host: str, error: Exception) -> str:
    cause = error.__context__  # the pool clears the cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The certificate of {host} is not accepted: {cause.verify_message}."
    if isinstance(error, httpcore2.ConnectError):
        return f"{host} cannot be connected to."
    if isinstance(error, httpcore2.ProtocolError):
        return f"The answer of {host} is no proper HTTP."
    return f"The connection to {host} broke before it answered."
