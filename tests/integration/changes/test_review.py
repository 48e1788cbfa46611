"""Deciding on a plan: by another person, on exactly the plan that was seen."""

from dataclasses import replace
from datetime import timedelta

import pytest
from journeys import Journey, refused
from stores import Shop

from calibr.changes import lifecycle, service
from calibr.changes.lifecycle import ChangeState
from calibr.changes.model import EditedPriceChange
from calibr.changes.transition import transition
from calibr.core.errors import Conflict, Forbidden, Invalid
from calibr.core.ids import new_uuid
from calibr.db import Context, Database
from calibr.events import list_audit


@pytest.fixture
def journey(database: Database, shop: Shop, approver: Context) -> Journey:
    return Journey.begin(database, shop, approver)


def submit(journey: Journey) -> str:
    with journey.database.session(journey.author) as session:
        return str(service.submit(session, journey.id).plan_root)


def test_the_author_cannot_approve_and_the_message_says_who(journey: Journey, database: Database) -> None:
    journey.to(ChangeState.PREVIEWED)
    root = submit(journey)

    error = refused(database, journey.author, service.approve, journey.id, root)

    assert isinstance(error, Forbidden)
    assert error.code == "price_change.author_cannot_approve"
    assert journey.author.actor.removeprefix("user:") in error.message
    assert str(journey.id) in error.message


def test_who_edited_a_change_cannot_approve_it_either(journey: Journey, database: Database) -> None:
    for editor in (journey.approver, journey.author):  # that somebody else edited it last does not help
        with database.session(editor) as session:
            service.edit(session, journey.id, journey.change.revision, EditedPriceChange(name="Bigger sale"))
    journey.to(ChangeState.PREVIEWED)
    root = submit(journey)

    error = refused(database, journey.approver, service.approve, journey.id, root)

    assert (type(error), error.code) == (Forbidden, "price_change.author_cannot_approve")
    third = replace(journey.approver, actor=f"user:{new_uuid()}")
    with database.session(third) as session:
        assert service.approve(session, journey.id, root).state is ChangeState.APPROVED


def test_an_approval_of_another_plan_is_refused_and_names_both(journey: Journey, database: Database) -> None:
    journey.to(ChangeState.PREVIEWED)
    root, stale = submit(journey), "0" * 64

    error = refused(database, journey.approver, service.approve, journey.id, stale)

    assert isinstance(error, Conflict)
    assert error.code == "price_change.stale_plan_root"
    assert root in error.message
    assert stale in error.message


def test_a_plan_that_was_computed_anew_needs_a_look_at_the_new_one(journey: Journey, database: Database) -> None:
    old = journey.preview().plan_root
    new = journey.preview().plan_root
    submit(journey)

    assert old != new
    assert (
        refused(database, journey.approver, service.approve, journey.id, str(old)).code
        == "price_change.stale_plan_root"
    )


def test_an_approval_is_recorded_with_root_and_person(journey: Journey, database: Database) -> None:
    journey.to(ChangeState.APPROVED)

    change = journey.change
    assert change.approved_root == change.plan_root
    assert f"user:{change.approved_by}" == journey.approver.actor
    with database.session(journey.author) as session:
        last = list_audit(session, entity="price_change", entity_id=str(journey.id))[-1]
    assert (last.action, last.actor) == ("price_change.approved", journey.approver.actor)
    assert last.explain["plan_root"] == change.plan_root


def test_nothing_is_applied_without_approval(journey: Journey, database: Database) -> None:
    for step in (lambda: None, journey.preview, lambda: submit(journey)):
        step()
        error = refused(database, journey.approver, service.start_apply, journey.id)
        assert error.code == "price_change.wrong_state"
    assert journey.shop.store.journal == []


def test_a_second_start_is_refused(journey: Journey, database: Database) -> None:
    journey.to(ChangeState.APPLYING)
    while_applying = refused(database, journey.approver, service.start_apply, journey.id)
    journey.run()
    afterwards = refused(database, journey.approver, service.start_apply, journey.id)

    assert while_applying.code == afterwards.code == "price_change.wrong_state"
    assert "is applying" in while_applying.message
    assert "is applied" in afterwards.message


def test_a_rejection_is_final_and_says_why(journey: Journey, database: Database) -> None:
    journey.to(ChangeState.PREVIEWED)
    submit(journey)
    assert isinstance(refused(database, journey.approver, service.reject, journey.id, "  "), Invalid)

    with database.session(journey.approver) as session:
        change = service.reject(session, journey.id, "too deep a cut")

    assert (change.state, change.reason) == (ChangeState.REJECTED, "too deep a cut")
    assert refused(database, journey.approver, service.approve, journey.id, str(change.plan_root)).code.endswith(
        "wrong_state"
    )


def test_a_change_can_be_cancelled_until_it_starts(journey: Journey, database: Database) -> None:
    journey.to(ChangeState.APPROVED)

    with database.session(journey.author) as session:
        assert service.cancel(session, journey.id, "not needed").state is ChangeState.CANCELLED

    assert refused(database, journey.approver, service.start_apply, journey.id).code == "price_change.wrong_state"


def test_an_old_plan_is_neither_approved_nor_started_and_expires(journey: Journey, database: Database) -> None:
    journey.to(ChangeState.APPROVED)
    soon = timedelta(microseconds=1)

    error = refused(database, journey.approver, service.start_apply, journey.id, max_plan_age=soon)
    with database.session(journey.worker) as session:
        nothing = service.expire_plans(session, timedelta(hours=1))
        expired = service.expire_plans(session, soon)

    assert error.code == "price_change.plan_too_old"
    assert nothing == []
    assert expired == [journey.id]
    assert journey.change.state is ChangeState.EXPIRED


def test_one_change_at_a_time_holds_a_store(
    journey: Journey, database: Database, shop: Shop, approver: Context
) -> None:
    journey.to(ChangeState.APPLYING)
    second = Journey.begin(database, shop, approver).to(ChangeState.APPROVED)

    error = refused(database, approver, service.start_apply, second.id)
    journey.run()
    second.start()

    assert error.code == "price_change.store_busy"
    assert str(journey.id) in error.message
    assert second.change.state is ChangeState.APPLYING


def test_who_decides_on_what_has_moved_on_is_told(journey: Journey, database: Database) -> None:
    journey.to(ChangeState.PREVIEWED)
    seen = journey.change
    submit(journey)

    with pytest.raises(Conflict) as late, database.session(journey.author) as session:
        transition(session, seen, lifecycle.SUBMIT, payload={"plan_root": seen.plan_root})

    assert (late.value.code, late.value.retryable) == ("price_change.moved", True)
    assert len(journey.audit("price_change.submitted")) == 1


def test_a_third_person_may_approve_too(journey: Journey, database: Database) -> None:
    journey.to(ChangeState.PREVIEWED)
    root = submit(journey)
    third = replace(journey.approver, actor=f"user:{new_uuid()}")

    with database.session(third) as session:
        assert service.approve(session, journey.id, root).state is ChangeState.APPROVED
