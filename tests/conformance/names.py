"""Remembers which id, cursor or key of the sandbox stands for which recorded one, and rewrites requests with them."""

import re
from typing import Any

_GID = re.compile(r"gid://shopify/(\w+)/([\w-]+)")
_KEY = re.compile(r"/(tmp/\d[^?]*)")
_LONG_NUMBER = re.compile(r"\b\d{8,}\b")
_CURSORS = frozenset({"cursor", "startCursor", "endCursor"})


class Names:
    """Grows with every answer."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._numbers: dict[str, str] = {}

    def knows(self, text: str) -> bool:
        """Whether a recorded name has one here."""
        return text in self._texts

    def learn(self, theirs: object, ours: object, key: str = "") -> None:
        """Walk two answers side by side and pair their ids, cursors and keys of uploads."""
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for name in theirs.keys() & ours.keys():
                self.learn(theirs[name], ours[name], "key" if theirs.get("name") == "key" else name)
        elif isinstance(theirs, list) and isinstance(ours, list):
            for left, right in zip(theirs, ours, strict=False):
                self.learn(left, right, key)
        elif isinstance(theirs, str) and isinstance(ours, str):
            self._pair(theirs, ours, key)

    def rewrite(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Put our names in place of the recorded ones."""
        if isinstance(value, dict):
            return {key: self.rewrite(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.rewrite(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _pair(self, theirs: str, ours: str, key: str) -> None:
        left, right = _GID.fullmatch(theirs), _GID.fullmatch(ours)
        if left and right and left[1] == right[1]:
            self._texts.setdefault(theirs, ours)
            self._numbers.setdefault(left[2], right[2])
        elif key in _CURSORS or key == "key":
            self._texts.setdefault(theirs, ours)
        elif key == "url" and (left_key := key_in(theirs)) and (right_key := key_in(ours)):
            self._texts.setdefault(left_key, right_key)

    def _text(self, text: str) -> str:
        if text in self._texts:
            return self._texts[text]
        known = _GID.sub(lambda match: self._texts.get(match[0], match[0]), text)
        return _LONG_NUMBER.sub(lambda match: self._numbers.get(match[0], match[0]), known)


def key_in(url: str) -> str | None:
    """The key of an upload in the address of a PUT target, which names it nowhere else."""
    match = _KEY.search(url)
    return match[1] if match else None
