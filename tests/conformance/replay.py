"""Replays one recording against a fresh sandbox and compares the answers."""

import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmless import reason_harmless
from masks import differences, mask
from names import Names
from plan import Evidence, LeftOut, NotAsked, NotServed, Send, plan
from presupposed import gather
from recording import Json, Recording, Result, Upload
from restore import Restorer
from seeding import seed
from seeding_markets import derive, seed_markets
from seeding_webhooks import seed_subscriptions
from uploads import Uploads

from calibr_sandbox import schema
from calibr_sandbox.config import DEFAULT_SCOPES, SandboxConfig
from calibr_sandbox.store import Store
from calibr_sandbox.testing import StartedSandbox, started_sandbox
from calibr_sandbox.versions import OLDEST_VERSION

_WRITES = ("write_companies", "write_inventory", "write_markets", "write_publications")
_SCOPES = (*DEFAULT_SCOPES, *_WRITES, "read_customers")
_NEVER_S = 86_400.0
"""Bulk operations move on only when the recording says that they had."""
_ORDER = ("CREATED", "RUNNING", "COMPLETED"), ("CANCELING", "CANCELED")
_PATIENCE_S = 20.0


@dataclass
class Outcome:
    """What came of a recording: how many answers were compared, and where they differ."""

    name: str
    compared: int = 0
    differences: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Differences that do no harm, and requests that cannot be made, with the reason."""
    evidence: int = 0

    @property
    def verdict(self) -> str:
        """`matches`, `differs`, or `out of scope`."""
        if self.differences:
            return "differs"
        return "matches" if self.compared else "out of scope"


def replay(recording: Recording) -> Outcome:
    """Run a recording in a sandbox of its own."""
    built = schema.build()
    actions = plan(recording, built)
    outcome, names = Outcome(recording.name), Names()
    if any(isinstance(a, LeftOut) for a in actions) and not any(
        isinstance(a, Send | NotServed) and a.step.role == "case" and _is_about_pricing(a, actions) for a in actions
    ):
        outcome.left_out = _reasons(actions)
        return outcome
    presupposed = gather(recording, actions)
    derive(presupposed)
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.db"
        with closing(Store(db, presupposed.currency)) as store:
            seed(store, presupposed, names)
            seed_markets(store, presupposed, actions)
            seed_subscriptions(store, presupposed)
        config = SandboxConfig(
            db,
            plan="enterprise",
            bulk_delay_s=_NEVER_S,
            cancel_delay_s=_NEVER_S,
            scopes=_SCOPES,
            oldest_version=min(recording.version, OLDEST_VERSION),  # it was served when this was recorded
        )
        with started_sandbox(config) as sandbox:
            run = _Run(sandbox, names, outcome, recording)
            for action in actions:
                run.take(action)
    if not outcome.compared and not outcome.left_out:
        outcome.differences.append("nothing in it can be replayed: no request was recorded")
    return outcome


def _is_about_pricing(action: Send | NotServed, actions: list[Any]) -> bool:
    """A read beside operations that are out of scope only shows what those did."""
    is_read = isinstance(action, Send) and not action.is_mutation
    others = [a for a in actions if isinstance(a, Send | NotServed) and a.step.role == "case"]
    return not is_read or any(not isinstance(a, Send) or a.is_mutation for a in others)


def _reasons(actions: list[Any]) -> list[str]:
    found = [
        f"{', '.join(action.step.roots) or action.step.path}: {action.reason}"
        for action in actions
        if isinstance(action, LeftOut)
    ]
    return list(dict.fromkeys(found))


class _Run:
    """A recording on its way through one sandbox."""

    def __init__(self, sandbox: StartedSandbox, names: Names, outcome: Outcome, recording: Recording) -> None:
        self._version = recording.version
        self._restorer = Restorer(sandbox.client, names, recording.upstream)
        self._sandbox = sandbox
        self._names = names
        self._outcome = outcome
        self._uploads = Uploads(sandbox, names)
        self._finished: Json | None = None
        self._changed = False

    def take(self, action: object) -> None:
        """Do what the plan says about one event."""
        if isinstance(action, Send):
            self._send(action)
        elif isinstance(action, Upload):
            self._note(action.path, self._uploads.send(action))
        elif isinstance(action, Result):
            self._compare_result(action)
        elif isinstance(action, NotServed):
            self._note(action.step.path, [action.reason])
        elif isinstance(action, NotAsked):
            self._outcome.notes.append(f"{action.step.path}: not asked, {action.reason}")
        elif isinstance(action, LeftOut):
            self._outcome.left_out.append(f"{action.step.path}: {action.reason}")
        elif isinstance(action, Evidence):
            self._outcome.evidence += 1

    def _send(self, action: Send) -> None:
        self._uploads.presuppose(action)
        if self._changed and action.is_mutation:
            self._restorer.before(action)
        theirs = {key: action.step.body.get(key) for key in ("data", "errors")}
        ours = self._ask(action)
        deadline = time.monotonic() + _PATIENCE_S
        while _is_behind(theirs, ours) and time.monotonic() < deadline:
            self._sandbox.shop.bulk.advance()
            time.sleep(0.01)
            ours = self._ask(action)
        self._names.learn(theirs, ours)
        self._uploads.remember(ours)
        self._finished = next(_finished(ours), self._finished)
        self._changed = self._changed or action.is_mutation
        harmless, found = [], []
        for difference in differences(_places(theirs, action), _places(ours, action)):
            reason = reason_harmless(action, difference, is_changed=self._changed)
            if reason is None:
                found.append(difference)
            else:
                harmless.append(f"{action.step.path}: {difference} ({reason})")
        self._outcome.notes.extend(harmless)
        self._note(action.step.path, found)

    def _ask(self, action: Send) -> Json:
        self._sandbox.clock.now += 60
        query, variables = self._names.rewrite(action.query), self._names.rewrite(action.variables)
        body = self._sandbox.client.graphql(query, variables, self._version).body
        return {key: body.get(key) for key in ("data", "errors")} if isinstance(body, dict) else {"errors": body}

    def _note(self, path: str, found: list[str]) -> None:
        self._outcome.compared += 1
        self._outcome.differences.extend(f"{path}: {difference}" for difference in found)

    def _compare_result(self, result: Result) -> None:
        if self._finished is None:
            self._note(result.path, ["no operation has finished"])
            return
        ours = self._download(self._finished["url"])
        if any("does not serve" in line.get("message", "") for row in ours for line in row.get("errors", [])):
            self._outcome.left_out.append(f"{result.path}: the sandbox does not run this mutation")
            return
        self._note(result.path, differences(_sorted(result.lines), _sorted(ours)))

    def _download(self, url: str) -> list[Json]:
        host, _, path = url.removeprefix("http://").partition("/")
        with closing(http.client.HTTPConnection(host, timeout=30)) as connection:
            connection.request("GET", f"/{path}")
            return [json.loads(line) for line in connection.getresponse().read().splitlines() if line]


def _places(body: Json, action: Send) -> Json:
    """A rebuilt query has its fields at other places than the one that was lost."""
    for path in action.unasked:
        body = {**body, "data": _without(body.get("data"), path)}
    if not action.is_rebuilt or not isinstance(body.get("errors"), list):
        return body
    errors = [{key: value for key, value in error.items() if key != "locations"} for error in body["errors"]]
    return {**body, "errors": errors}


def _without(value: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return [_without(item, path) for item in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1:
        return {key: item for key, item in value.items() if key != path[0]}
    return {**value, path[0]: _without(value[path[0]], path[1:])}


def _operations(value: object) -> Iterator[Json]:
    if isinstance(value, dict):
        if "/BulkOperation/" in str(value.get("id")) and "status" in value:
            yield value
        for item in value.values():
            yield from _operations(item)
    elif isinstance(value, list):
        for item in value:
            yield from _operations(item)


def _is_behind(theirs: Json, ours: Json) -> bool:
    """Whether an operation of ours has yet to reach the state that was recorded."""
    pairs = zip(_operations(theirs.get("data")), _operations(ours.get("data")), strict=False)
    return any(
        left["status"] in line and right["status"] in line and line.index(right["status"]) < line.index(left["status"])
        for left, right in pairs
        for line in _ORDER
    )


def _finished(ours: Json) -> Iterator[Json]:
    return (found for found in _operations(ours.get("data")) if found.get("url"))


def _sorted(lines: list[Json]) -> list[object]:
    return sorted((mask(line) for line in lines), key=lambda line: json.dumps(line, sort_keys=True))
