"""How an apply run ends: in one of its terminal states, or paused for a person to look at."""

from contextlib import AbstractContextManager
from dataclasses import replace
from uuid import UUID

from calibr.changes import lifecycle
from calibr.changes.lease import Lease
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import PriceChange
from calibr.changes.repository import compare_and_set, get_change, move_counts, release_stores
from calibr.changes.repository_items import cancel_waiting, count_states
from calibr.changes.transition import error_payload, facts_of, transition
from calibr.core.errors import CalibrError
from calibr.core.ids import PriceChangeId
from calibr.db import Context, Database, Role, Session
from calibr.events import JsonValue

CANCEL_CHUNK = 5_000


class Ending:
    """The last steps of a run on one change."""

    def __init__(self, database: Database, context: Context, change_id: PriceChangeId, lease: Lease) -> None:
        self._database = database
        self._context = context
        self._change_id = change_id
        self._lease = lease

    def finish(self, error: CalibrError | None = None) -> PriceChange | None:
        """End the change if nothing is open any more; None if it is paused or something is left to do.

        When aborting, or with `error`, what was never sent is cancelled first.
        """
        if self._state() is ChangeState.ABORTING or error is not None:
            self._cancel_the_rest()
        with self._session() as session:
            state = self._lease.lock(session)
            counts = count_states(session, self._change_id)
            is_open = any(counts.get(s) for s in lifecycle.OPEN_ITEM_STATES)
            if is_open or state not in {ChangeState.APPLYING, ChangeState.ABORTING}:
                return None
            return self._end(session, counts, error)

    def pause(self, error: CalibrError) -> None:
        """Let nothing more be sent until a person has looked at the error; a change that is aborting only notes it."""
        body = error_payload(error)
        with self._session() as session:
            state = self._lease.lock(session)
            change = get_change(session, self._change_id)
            if state is ChangeState.APPLYING:
                transition(session, change, lifecycle.PAUSE, values={"error": body}, payload={"error": body})
            else:
                compare_and_set(session, change, {"error": body})

    def _end(self, session: Session, counts: dict[ItemState, int], error: CalibrError | None) -> PriceChange:
        change = get_change(session, self._change_id)
        step = lifecycle.outcome(change.state, counts)
        body = None if error is None else error_payload(error)
        by_state: dict[str, JsonValue] = {str(s): number for s, number in counts.items()}
        values = {"counts": by_state, "finished_at": session.now, "error": body}
        payload: dict[str, JsonValue] = {"plan_root": change.plan_root, "counts": by_state}
        if step is lifecycle.FINISH_FAILED:
            payload["error"] = body
        release_stores(session, self._change_id)
        facts = replace(facts_of(session, change), open_items=0)
        return transition(session, change, step, facts=facts, values=values, payload=payload)

    def _cancel_the_rest(self) -> None:
        after: tuple[UUID, UUID] | None = None
        while True:
            with self._session() as session:
                self._lease.lock(session)
                chunk = cancel_waiting(session, self._change_id, after, CANCEL_CHUNK)
                moves = {
                    ItemState.PENDING: -chunk["pending"],
                    ItemState.RETRY_WAIT: -chunk["retry_wait"],
                    ItemState.CANCELLED: chunk["pending"] + chunk["retry_wait"],
                }
                move_counts(session, self._change_id, moves)
            if chunk["seen"] < CANCEL_CHUNK:
                return
            after = (chunk["price_list_id"], chunk["product_id"])

    def _state(self) -> ChangeState:
        with self._session() as session:
            return self._lease.lock(session)

    def _session(self) -> AbstractContextManager[Session]:
        return self._database.session(self._context, role=Role.WORKER)
