import pytest

from calibr.core import errors
from calibr.core.errors import CalibrError
from calibr.http.problem import STATUS_OF_KIND, rule_of, shown, status_of


def kinds_of_errors() -> list[type[CalibrError]]:
    return [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, CalibrError)]


def test_every_kind_of_error_has_a_status() -> None:
    assert set(kinds_of_errors()) - {CalibrError} == set(STATUS_OF_KIND)


def test_a_subclass_has_the_status_of_its_kind() -> None:
    class DocumentError(errors.Invalid):
        pass

    assert status_of(DocumentError("document.schema", "no")) == 422


@pytest.mark.parametrize(
    ("value", "said"),
    [("abc", "'abc'"), (5, "5"), (True, "True"), (None, None), ({"token": "x"}, None), (["x"], None), (b"x", None)],
)
def test_only_scalars_are_shown(value: object, said: str | None) -> None:
    assert shown(value) == said


def test_long_values_are_shortened() -> None:
    assert len(shown("x" * 10_000) or "") < 200


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        ("Input should be a valid integer", "must be a valid integer"),
        ("String should have at least 1 character", "must have at least 1 character"),
        ("Value error, nothing of that kind", "nothing of that kind"),
        ("Field required", "Field required"),
    ],
)
def test_sentences_of_the_library_become_rules(message: str, rule: str) -> None:
    assert rule_of(message) == rule
