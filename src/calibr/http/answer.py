"""Answers: bytes made once by orjson, straight from plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from starlette.responses import Response

MEDIA_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives back. A repeat of the request gets `remembered` instead of `body` where that is set."""

    body: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    remembered: object | None = None

    def response(self) -> Response:
        """The response."""
        return Response(json_bytes(self.body), self.status, headers=dict(self.headers), media_type=MEDIA_TYPE)


def json_bytes(body: object) -> bytes:
    """The JSON of views: dataclasses, ids, enums, times in UTC with `Z`."""
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


def created(body: object, location: str, *, remembered: object | None = None) -> Answer:
    """201, with where the new thing is."""
    return Answer(body, 201, {"Location": location}, remembered)


def accepted(body: object, location: str) -> Answer:
    """202: work has been asked for; its state is at `location`."""
    return Answer(body, 202, {"Location": location})
