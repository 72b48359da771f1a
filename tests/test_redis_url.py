"""What the store's URL may say."""

import pytest

from broker.errors import StartError
from broker.redis_url import parse
from broker.settings import Settings


@pytest.mark.parametrize(
    ("text", "of_a_server"),
    [
        ("redis://localhost:6379/2", "redis://localhost:6379/2"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis+cluster://a:7000,b,[::1]:7002", "redis://a:7000/0"),
        (
            "rediss+cluster://user:p%40ss@a:7000?ssl_ca_certs=/ca.pem",
            "rediss://user:p%40ss@a:7000/0?ssl_ca_certs=/ca.pem",
        ),
        ("redis+sentinel://:secret@a,b:26380/main/3", "redis://:secret@a:7000/3"),
    ],
)
def test_a_url_leads_to_the_url_of_each_server(text: str, of_a_server: str) -> None:
    assert parse(text).of("a:7000") == of_a_server


def test_nodes_and_sentinels_have_ports_of_their_own() -> None:
    assert parse("redis+cluster://a:7000,b,[::1]:7002").nodes == ("a:7000", "b:6379", "[::1]:7002")
    assert parse("redis+sentinel://a,b:26380/main").nodes == ("a:26379", "b:26380")
    assert parse("redis+sentinel://a,b:26380/main").service == "main"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://a", "begins with redis://"),
        ("redis://", "begins with redis://"),
        ("redis+cluster://", "begins with redis://"),
        ("redis+cluster://a:7000,", "HOST:PORT"),
        ("redis+cluster://a:70000", "HOST:PORT"),
        ("redis+cluster://a:7000/1", "one database"),
        ("redis+sentinel://a", "name of a service"),
        ("redis+sentinel://a/", "name of a service"),
        ("redis+sentinel://a/main/first", "name of a service"),
    ],
)
def test_a_url_that_cannot_be_is_one_line_which_says_what_is_wanted(text: str, says: str) -> None:
    with pytest.raises(StartError, match=says) as refused:
        Settings.read({"BROKER_REDIS_URL": text})

    assert str(refused.value).startswith(f"BROKER_REDIS_URL: {text!r} is not a URL")


def test_a_password_in_a_wrong_url_is_not_repeated() -> None:
    with pytest.raises(StartError) as refused:
        Settings.read({"BROKER_REDIS_URL": "redis+cluster://user:hush/hush@a:b"})

    assert "hush" not in str(refused.value)
