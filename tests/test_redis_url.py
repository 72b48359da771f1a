"""What the store's URL may say."""

import pytest

from broker.errors import StartError
from broker.redis_url import parse
from broker.settings import Settings
from broker.store.redis import watched


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
        ("redis://a/first", "number of a database"),
        ("redis://a?db=first", "the value of db is not valid"),
        ("redis://a?decode_responses=no", "options are among db "),
        ("redis+cluster://a?db=1", "followed by nothing"),
        ("redis+sentinel://a/main?sentinel_name=x", "among sentinel_username, sentinel_password "),
        ("redis+sentinel://a/main?sentinel_password=", "the value of sentinel_password is not valid"),
        ("redis://a?ssl_ca_certs=/ca.pem", "those of TLS need rediss"),
        ("rediss+cluster://a?ssl_cert_reqs=maybe", "the value of ssl_cert_reqs is not valid"),
    ],
)
def test_an_invalid_url_is_one_line_that_says_what_is_valid(text: str, says: str) -> None:
    with pytest.raises(StartError, match=says) as refused:
        Settings.read({"BROKER_REDIS_URL": text})

    shown = text.partition("?")[0] + ("?..." if "?" in text else "")
    assert str(refused.value).startswith(f"BROKER_REDIS_URL: {shown!r} is not a URL")


@pytest.mark.parametrize(
    "text",
    [
        "redis+cluster://user:hush/hush@a:b",
        "redis+sentinel://a/main?sentinel_password=hush&x=1",
        "redis://a?x=hush",
        "redis://:hush?hush@a",
    ],
)
def test_a_password_in_a_wrong_url_is_not_repeated(text: str) -> None:
    with pytest.raises(StartError) as refused:
        Settings.read({"BROKER_REDIS_URL": text})

    assert "hush" not in str(refused.value)


def test_sentinels_are_asked_with_what_the_url_says_of_them() -> None:
    url = parse("rediss+sentinel://user:pass@a,[::1]:26380/main/3?ssl_ca_certs=/ca.pem&sentinel_password=other")

    sentinels, theirs, servers = watched(url)

    assert sentinels == [("a", 26379), ("::1", 26380)]
    assert theirs == {"ssl": True, "ssl_ca_certs": "/ca.pem", "password": "other"}
    assert servers == {"ssl": True, "ssl_ca_certs": "/ca.pem", "username": "user", "password": "pass", "db": 3}
