"""The storage behind staged uploads: what a target demands of a client, and what it refuses."""

import base64
import http.client
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from calibr_sandbox.testing import StartedSandbox

CREATE = """mutation($input: [StagedUploadInput!]!) { stagedUploadsCreate(input: $input) {
  stagedTargets { url resourceUrl parameters { name value } } userErrors { field message } } }"""
BULK = {"resource": "BULK_MUTATION_VARIABLES", "filename": "prices.jsonl", "mimeType": "text/jsonl"}
Fields = list[tuple[str, str]]


def create(sandbox: StartedSandbox, **more: object) -> dict[str, Any]:
    payload = sandbox.client.graphql(CREATE, {"input": [BULK | more]}).data["stagedUploadsCreate"]
    assert payload["userErrors"] == []
    (target,) = payload["stagedTargets"]
    found: dict[str, Any] = target
    return found


def fields_of(target: dict[str, Any]) -> Fields:
    return [(parameter["name"], parameter["value"]) for parameter in target["parameters"]]


def send(url: str, method: str, body: bytes, content_type: str = "text/jsonl") -> tuple[int, bytes]:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=30)) as connection:
        connection.request(method, f"{parts.path}?{parts.query}", body, {"Content-Type": content_type})
        response = connection.getresponse()
        return response.status, response.read()


def post(target: dict[str, Any], before: Fields, content: bytes, after: Fields = []) -> tuple[int, bytes]:  # noqa: B006
    parts = [f'--frontier\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in before]
    parts.append(b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + content + b"\r\n")
    parts += [f'--frontier\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in after]
    return send(target["url"], "POST", b"".join(parts) + b"--frontier--\r\n", "multipart/form-data; boundary=frontier")


def stored(sandbox: StartedSandbox, key: str) -> bytes | None:
    staged = sandbox.shop.staged.find(key)
    assert staged is not None
    path = sandbox.shop.staged.path_of(staged)
    return None if path is None else path.read_bytes()


def test_a_form_with_all_fields_before_the_file_is_taken(sandbox: StartedSandbox) -> None:
    target = create(sandbox, httpMethod="POST")
    fields = fields_of(target)
    content = b'{"a": 1}\r\n--front is no boundary here\n' * 10_000

    status, body = post(target, fields, content)

    assert status == 201
    assert b"<PostResponse><Location>" in body
    assert stored(sandbox, dict(fields)["key"]) == content


def test_the_target_names_its_fields_in_order_and_its_policy_binds_them(sandbox: StartedSandbox) -> None:
    target = create(sandbox, httpMethod="POST")
    fields = fields_of(target)

    assert [name for name, _ in fields] == [
        "Content-Type", "success_action_status", "acl", "key", "x-goog-date", "x-goog-credential", "x-goog-algorithm",
        "x-goog-signature", "policy",
    ]  # fmt: skip
    conditions = json.loads(base64.b64decode(dict(fields)["policy"]))["conditions"]
    assert ["content-length-range", 1, 104_857_600] in conditions
    bound = {name: value for part in conditions if isinstance(part, dict) for name, value in part.items()}
    assert {name: bound[name] for name, _ in fields[:7]} == dict(fields[:7])


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda fields: (fields[:3] + fields[4:], fields[3:4]), b"InvalidArgument"),
        (lambda fields: (fields[:-1], fields[-1:]), b"AccessDenied"),
        (lambda fields: ([(n, "other" if n == "acl" else v) for n, v in fields], []), b"AccessDenied"),
        (lambda fields: ([*fields, ("extra", "1")], []), b"AccessDenied"),
        (lambda fields: ([(n, "tmp/1/bulk/other" if n == "key" else v) for n, v in fields], []), b"AccessDenied"),
    ],
    ids=["key after the file", "policy after the file", "another value", "a field too many", "unknown key"],
)  # fmt: skip
def test_a_form_that_breaks_the_policy_is_refused(
    sandbox: StartedSandbox, spoil: Callable[[Fields], tuple[Fields, Fields]], code: bytes
) -> None:
    target = create(sandbox, httpMethod="POST")
    before, after = spoil(fields_of(target))

    status, body = post(target, before, b"{}", after)

    assert status in {400, 403}
    assert code in body
    assert stored(sandbox, dict(fields_of(target))["key"]) is None


def test_a_form_without_bytes_or_with_too_many_is_refused(
    sandbox: StartedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = create(sandbox, httpMethod="POST")
    monkeypatch.setattr("calibr_sandbox.staged_http.MAX_UPLOAD_BYTES", 1_000)

    assert b"EntityTooSmall" in post(target, fields_of(target), b"")[1]
    assert b"EntityTooLarge" in post(target, fields_of(target), b"x" * 200_000)[1]
    assert post(target, fields_of(target), b"x" * 1_000)[0] == 201


@pytest.mark.parametrize("body", [b"", b"--frontier\r\n\r\n", b"--frontier--\r\n", b"nothing", b"--frontier\r\nname"])
def test_what_is_no_form_is_refused(unchanged: StartedSandbox, body: bytes) -> None:
    target = create(unchanged, httpMethod="POST")

    assert send(target["url"], "POST", body, "multipart/form-data; boundary=frontier")[0] == 400
    assert send(target["url"], "POST", body, "text/plain")[0] == 400


def test_put_is_the_default_and_takes_bytes_at_the_signed_address_only(sandbox: StartedSandbox) -> None:
    target = create(sandbox)
    key = urlsplit(target["url"]).path.removeprefix("/sandbox/staged/")
    assert fields_of(target) == [("content_type", "text/jsonl"), ("acl", "private")]

    assert send(target["url"].partition("?")[0], "PUT", b"{}")[0] == 403
    assert stored(sandbox, key) is None
    assert send(target["url"], "PUT", b"{}")[0] == 200
    assert send(target["url"], "PUT", b"{}\n{}")[0] == 200
    assert stored(sandbox, key) == b"{}\n{}"
    assert len(list(sandbox.shop.staged.folder.iterdir())) == 1


def test_a_target_for_a_form_takes_no_put(unchanged: StartedSandbox) -> None:
    target = create(unchanged, httpMethod="POST")

    assert send(f"{target['url']}{dict(fields_of(target))['key']}", "PUT", b"{}")[0] == 403


def test_a_bad_entry_has_an_empty_target_and_does_not_stop_the_good_ones(unchanged: StartedSandbox) -> None:
    entries = [{"resource": "VIDEO", "filename": "v.mp4", "mimeType": "video/mp4"}, BULK]

    payload = unchanged.client.graphql(CREATE, {"input": entries}).data["stagedUploadsCreate"]

    assert payload["userErrors"] == [
        {"field": ["input", "0", "fileSize"], "message": "file size is required for video resources"}
    ]
    assert payload["stagedTargets"][0] == {"url": None, "resourceUrl": None, "parameters": []}
    assert payload["stagedTargets"][1]["url"]
