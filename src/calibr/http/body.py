"""Request bodies: read after the caller is known, judged strictly, refused with the path, the value and the rule.

FastAPI would parse a body before it asks who is calling, turn its numbers into floats and take the last of two equal
names; so a body is a dependency of ours, and `openapi` describes it from here.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from calibr.core.errors import Fault, Invalid
from calibr.core.written_json import Json, JsonRefused, load_written
from calibr.http.problem import rule_of, sentence, shown

SHOWN_FAULTS: Final = 20
MAX_COMMAS: Final = 500_000
"""A selector may list 100,000 SKUs. 8 MB of commas would make four million numbers: 10 s of work, a gigabyte."""
PLAIN: Final = frozenset({"application/json"})


class RequestModel(BaseModel):
    """Base of all bodies: exact types, no unknown names."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def _storable(text: str) -> str:
    """A JSON text may hold U+0000; PostgreSQL cannot."""
    if "\0" in text:
        raise ValueError("must not hold the character U+0000")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Any text that is stored or looked for."""


class NoBody(RequestModel):
    """An empty object, or nothing at all."""


M = TypeVar("M", bound=BaseModel)


class JsonBody(Generic[M]):
    """The dependency that reads a body as `model`. Use as `Annotated[NewUser, Depends(JsonBody(NewUser))]`."""

    def __init__(self, model: type[M]) -> None:
        self.model = model

    async def __call__(self, request: Request) -> M:
        """Read and judge. Raises Invalid `request.body`, `request.media_type` or `request.invalid`."""
        return await run_in_threadpool(self.judge, await raw_json(request))

    def judge(self, raw: bytes) -> M:
        """Judge the bytes of a body; not in the event loop, where a long body would keep everybody else waiting."""
        load(raw)
        try:
            return self.model.model_validate_json(raw)
        except ValidationError as error:
            raise invalid_body(error) from None

    @property
    def is_required(self) -> bool:
        """Whether there is anything that the body has to say."""
        return any(field.is_required() for field in self.model.model_fields.values())


class WrittenBody(JsonBody[M]):
    """The same for bodies with rule documents, whose numbers keep the form they are written in (`JsonNumber`)."""

    def judge(self, raw: bytes) -> M:
        """Judge all but the documents, which `pricing` judges. Raises the same as `JsonBody`."""
        try:
            return self.model.model_validate(load(raw))
        except ValidationError as error:
            raise invalid_body(error) from None


class SignedBody:
    """The dependency that reads the bytes as they were sent, which is what a signature is over."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes

    async def __call__(self, request: Request) -> bytes:
        """Read. What is longer is not read to its end. Raises HTTPException 413."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.max_bytes:
                raise HTTPException(413, f"The body has more than {self.max_bytes} bytes.")
        return bytes(body)


async def raw_json(request: Request) -> bytes:
    """The bytes of the body; no body counts as an empty object. Raises Invalid `request.media_type`."""
    raw = await request.body()
    if not raw.strip():
        return b"{}"
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in PLAIN:
        fault = Fault(path="header.Content-Type", value=ascii(media_type[:80]), rule="application/json")
        raise Invalid("request.media_type", "The body must be application/json.", faults=(fault,))
    return raw


def load(raw: bytes) -> Mapping[str, Json]:
    """The body as an object whose numbers keep their written form. Raises Invalid `request.body`."""
    if raw.count(b",") > MAX_COMMAS:
        raise _malformed(f"it has more than {MAX_COMMAS} commas")
    try:
        loaded = load_written(raw)
    except JsonRefused as refused:
        raise _malformed(str(refused)) from None
    if not isinstance(loaded, dict):
        raise _malformed("it is not a JSON object")
    return loaded


def invalid_body(error: ValidationError) -> Invalid:
    """The faults of a body. Values are shown only where they are scalars of the fault's own place, never of secrets."""
    faults = [_fault(item) for item in error.errors(include_url=False)]
    return refused_body(faults)


def refused_body(faults: Sequence[Fault]) -> Invalid:
    """A body that breaks rules: the first faults, in the order of reading."""
    kept = tuple(faults[:SHOWN_FAULTS])
    return Invalid("request.invalid", sentence(kept), faults=kept)


def _malformed(reason: str) -> Invalid:
    return Invalid("request.body", f"The body cannot be read: {reason}.")


def _fault(item: Mapping[str, Any]) -> Fault:
    location = tuple(item["loc"])
    is_about_absence = item["type"] in {"missing", "extra_forbidden"}
    is_secret = "secrets" in location
    given = None if is_about_absence or is_secret else shown(item.get("input"))
    return Fault(path=json_path(location), value=given, rule=_rule(item))


def json_path(location: Sequence[str | int]) -> str:
    """`$.name[0]`, as the rule language writes paths."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _rule(item: Mapping[str, Any]) -> str:
    rules = {"missing": "must be given", "extra_forbidden": "there is no such field"}
    return rules.get(item["type"]) or rule_of(item["msg"])
