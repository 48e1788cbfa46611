"""Database URLs: read, written, and never shown with their password."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.core.errors import Invalid
from calibr.db import ServerUrl

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_a_url_is_read() -> None:
    url = ServerUrl.parse("postgresql://operator:s%40crt@db.example:6432/pricing?sslmode=require")

    assert url == ServerUrl("db.example", 6432, "pricing", "operator", "s@crt", (("sslmode", "require"),))


def test_the_port_and_the_password_may_be_left_out() -> None:
    assert ServerUrl.parse("host=/run/pg user=me dbname=pricing") == ServerUrl("/run/pg", 5432, "pricing", "me", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://db.example/pricing", "lacks: user"),
        ("postgresql://me:hush@/", "lacks: host, dbname"),
        ("mysql://me:hush@db/x", "not one that PostgreSQL understands"),
        ("postgresql://me:hush@db/x?nonsense=1", "not one that PostgreSQL understands"),
        ("postgresql://me:hush@db:port/x", "The port"),
    ],
)
def test_a_bad_url_is_refused_without_repeating_it(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        ServerUrl.parse(text)

    assert "hush" not in str(caught.value)


@given(host=NAMES, port=st.integers(1, 65535), database=NAMES, user=NAMES, password=NAMES)
def test_what_is_written_is_read_again(host: str, port: int, database: str, user: str, password: str) -> None:
    url = ServerUrl(host, port, database, user, password, (("sslmode", "prefer"),))

    assert ServerUrl.parse(url.uri()) == url
    assert ServerUrl.parse(url.conninfo()) == url


def test_the_password_is_not_shown() -> None:
    url = ServerUrl("db", 5432, "pricing", "me", "hush")

    assert "hush" not in repr(url) + str(url)
