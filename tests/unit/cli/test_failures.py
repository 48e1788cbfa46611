"""What a person reads when something is refused or fails, and the exit code of it."""

from calibr.cli.failures import FAILED, REFUSED, CliError, document_of, from_domain, from_problem, lines_of
from calibr.core.errors import Fault, Invalid, Unavailable


def test_a_problem_becomes_one_line_with_its_sentence() -> None:
    error = from_problem(
        403, {"title": "Forbidden", "detail": "the author cannot approve", "code": "price_change.four_eyes"}
    )

    assert lines_of(error) == ["error: the author cannot approve"]
    assert (error.exit_code, error.code) == (REFUSED, "price_change.four_eyes")


def test_each_fault_has_a_line_with_place_value_and_rule() -> None:
    faults = [
        {"path": "selector.all[0].field", "value": '"product.colour"', "rule": "is not a field", "code": "schema"},
        {"path": "transform.price[0].by", "value": '"-100"', "rule": "must be above -100", "code": "schema"},
    ]

    error = from_problem(422, {"detail": "2 faults", "faults": faults})

    assert lines_of(error) == [
        'error: selector.all[0].field: "product.colour" is not a field',
        '       transform.price[0].by: "-100" must be above -100',
    ]


def test_a_broken_server_is_a_failure_and_no_refusal() -> None:
    assert from_problem(503, {"detail": "the database does not answer"}).exit_code == FAILED
    assert from_problem(409, {"detail": "already applied"}).exit_code == REFUSED


def test_a_problem_without_anything_still_says_something() -> None:
    error = from_problem(502, {"faults": "odd"})

    assert lines_of(error) == ["error: the server answered 502"]


def test_errors_of_our_own_parts_keep_their_kind() -> None:
    bad = from_domain(Invalid("settings.invalid", "CALIBR_PORT=x: must be a number"))
    down = from_domain(Unavailable("db.unreachable", "the database does not answer"))

    assert (bad.exit_code, down.exit_code) == (REFUSED, FAILED)


def test_a_program_reads_the_same_error_as_a_document() -> None:
    error = CliError("bad", faults=(Fault("a.b", "1", "is wrong"),))

    assert document_of(error) == {
        "error": {
            "code": "cli.refused",
            "detail": "bad",
            "status": None,
            "faults": [{"path": "a.b", "value": "1", "rule": "is wrong", "code": "schema"}],
        }
    }
