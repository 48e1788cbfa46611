"""What the writes of this package answer when they refuse."""

from dataclasses import dataclass
from typing import Any, Final

from calibr_sandbox.config import MAX_ARRAY_SIZE
from calibr_sandbox.errors import InputTooLargeError

MAX_TEXT: Final = 255
"""The longest title or name."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One user error: the path of its field (indexes are text), the sentence, the code."""

    field: Path | None
    message: str
    code: str | None


def user_errors(refusals: list[Refusal]) -> list[dict[str, Any]]:
    """Write refusals as `userErrors`."""
    return [
        {"field": None if each.field is None else list(each.field), "message": each.message, "code": each.code}
        for each in refusals
    ]


def require_size(values: list[Any] | None, field: str, *path: str) -> None:
    """Refuse the whole request when a list inside of an input holds more than Shopify takes."""
    if values is not None and len(values) > MAX_ARRAY_SIZE:
        raise InputTooLargeError(len(values), MAX_ARRAY_SIZE, [field, *path])


def text_refusals(text: str | None, path: Path, name: str) -> list[Refusal]:
    """Check a title or name."""
    if not (text or "").strip():
        return [Refusal(path, f"{name} can't be blank", "BLANK")]
    if len(text or "") > MAX_TEXT:
        return [Refusal(path, f"{name} is too long (maximum is {MAX_TEXT} characters)", "TOO_LONG")]
    return []
