"""`ETag` and `If-Match`: an edit says which revision it saw, and is refused if that is not the current one."""

import re
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from calibr.core.errors import Fault, Invalid

ETAG: Final = re.compile(r'"([1-9][0-9]{0,8})"')


class IfMatch:
    """The dependency that reads the revision. Raises Invalid `precondition.required` or `precondition.failed`."""

    async def __call__(self, request: Request) -> int:
        """The revision that the caller saw."""
        given = request.headers.get("if-match")
        if given is None:
            rule = "the ETag of what you read"
            fault = Fault(path="header.If-Match", value=None, rule=rule)
            raise Invalid("precondition.required", f"{fault.path} is needed: {rule}.", faults=(fault,))
        match = ETAG.fullmatch(given.strip())
        if match is None:
            fault = Fault(path="header.If-Match", value=ascii(given[:80]), rule='one ETag such as "3"')
            raise Invalid(
                "precondition.failed", f"{fault.path} is {fault.value}: it must be {fault.rule}.", faults=(fault,)
            )
        return int(match[1])


Revision = Annotated[int, Depends(IfMatch())]


def etag(revision: int) -> dict[str, str]:
    """The header of a revision."""
    return {"ETag": f'"{revision}"'}
