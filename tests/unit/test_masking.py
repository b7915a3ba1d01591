"""Secrets in addresses: no form of them is shown, and what is no secret stays."""

from __future__ import annotations

import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.masking import without_password, without_secrets

SHOWN = [
    # before the @, encoded or not
    ("rtsp://joe:s3cret@cam:554/1", "rtsp://***@cam:554/1"),
    ("rtsp://joe:s3/cr@et@cam/1", "rtsp://***@cam/1"),
    ("rtsp://joe:s3?cret@cam", "rtsp://***@cam"),
    ("rtsp://joe:12/s3cret@cam/1", "rtsp://***@cam/1"),
    ("http://s3cret@hub/model.onnx", "http://***@hub/model.onnx"),
    ("postgresql+psycopg://me:s3cret@/mien?host=/run", "postgresql+psycopg://***@/mien?host=/run"),
    ("postgresql:me:s3cret@db/mien", "postgresql:***@db/mien"),
    ("joe:s3cret@cam", "joe:***@cam"),
    # in parameters
    ("postgresql://db/mien?user=a&password=s3cret&sslmode=require", "postgresql://db/mien?user=a&password=***&sslmode=require"),
    ("postgresql://db/m?sslpassword=s3cret&passfile=/p/f&sslkey=/k", "postgresql://db/m?sslpassword=***&passfile=/p/f&sslkey=/k"),
    ("postgresql://db/m?PGPASSWORD=s3cret", "postgresql://db/m?PGPASSWORD=***"),
    ("http://cam/video?user=joe&pwd=s3cret&fps=5", "http://cam/video?user=joe&pwd=***&fps=5"),
    ("http://cam/v.cgi?loginuse=joe&loginpas=s3cret", "http://cam/v.cgi?loginuse=joe&loginpas=***"),
    ("http://cam/a?password=s3&cret", "http://cam/a?password=***"),
    ("http://cam/a#access_token=s3cret", "http://cam/a#access_token=***"),
    ("srt://h:9000?mode=caller&passphrase=s3cret", "srt://h:9000?mode=caller&passphrase=***"),
    ("https://x/m.onnx?X-Amz-Signature=s3cret&x-id=1", "https://x/m.onnx?X-Amz-Signature=***&x-id=1"),
    ("http://cam/?%70assw%6Frd=s3cret", "http://cam/?%70assw%6Frd=***"),
    ("http://cam/?p%2561ssword=s3cret", "http://cam/?p%2561ssword=***"),
    ("bigquery://p/d?credentials_base64=s3cret&location=EU", "bigquery://p/d?credentials_base64=***&location=EU"),
    # in paths
    ("rtsp://cam:554/user=joe_password=s3cret_channel=1.sdp", "rtsp://cam:554/user=joe_password=***"),
    ("rtsps://192.168.1.1:7441/EZrTpBpb3VfKLe7Z?enableSrtp", "rtsps://192.168.1.1:7441/***?enableSrtp"),
    ("rtmp://live.example/app/1a2b-3c4d-5e6f-7g8h", "rtmp://live.example/app/***"),
    ("rtsp://cam/joe:s3cret/1", "rtsp://cam/joe:***/1"),
    # in other addresses
    ("http://gw/rtsp://joe:s3cret@cam/1", "http://gw/rtsp://***@cam/1"),
    ("http://gw/?url=rtsp%3A%2F%2Fjoe%3As3cret%40cam%2F1", "http://gw/?url=rtsp://***@cam/1"),
    ("http://gw/?url=http%3A%2F%2Fcam%2F%3Fpwd%3Ds3cret", "http://gw/?url=http://cam/?pwd=***"),
    # libpq's keyword strings
    ("host=db user=a password='s3cret' dbname=m", "host=db user=a password=*** dbname=m"),
    ("host=db password = s3cret", "host=db password = ***"),
    (r"password='s3\'cret x' host=db", "password=*** host=db"),
    ("host=db password='s3cret and no end", "host=db password=***"),
    ("host=db passfile=/p/f", "host=db passfile=/p/f"),
]  # fmt: skip

PLAIN = [
    "sqlite:////var/lib/a@b/mien.db", "sqlite:///mien.db", "postgresql://db:5432/mien", "bigquery://project/set?location=EU",
    "film@home.mp4", "/data/a b=c.mp4", "C:\\Users\\a@b\\x.mp4", "0", "demo", "/dev/video0", "csi:0", "",
    "http://[fe80::1]:80/a@2x.mp4", "http://cam.local:8081/a@2x.mp4", "http://cam/video?fps=5&size=640", "rtsp://cam:554/Streaming/Channels/101",
    "https://hub.example/models/mien-7/fer2013.onnx", "rtsp://cam/user=joe_channel=1.sdp",
]  # fmt: skip


@pytest.mark.parametrize(("url", "shown"), SHOWN)
def test_secrets_are_taken_out(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert without_password(shown) == shown


@pytest.mark.parametrize("url", PLAIN)
def test_what_is_no_secret_stays(url: str) -> None:
    assert without_password(url) == url


@pytest.mark.parametrize(("url", "_"), SHOWN)
def test_messages_are_without_the_secrets_of_an_address_and_their_parts(url: str, _: str) -> None:
    for message in (f"no such host in {url}", f'FATAL: cannot use "{url}": try again', "invalid port number: s3cret"):
        assert "s3cret" not in without_secrets(message, url) or "s3cret" not in url
    assert "try again" in without_secrets(f'cannot use "{url}": try again', url)


def test_messages_are_without_the_secrets_of_addresses_that_nobody_named() -> None:
    assert without_secrets("cannot reach rtsp://joe:s3cret@cam/1, gave up") == "cannot reach rtsp://***@cam/1, gave up"
    assert without_secrets('bad dsn "host=db password=s3cret"') == 'bad dsn "host=db password=***'
    assert without_secrets("connection refused; is it there?") == "connection refused; is it there?"


TOKENS = st.text(string.ascii_letters + string.digits, min_size=8, max_size=20).map(lambda word: f"Zq{word}")
ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.sampled_from(
    ["password", "pwd", "TOKEN", "sslpassword", "api_key", "secret", "access-token", "passwd", "pass"]
)


@given(TOKENS, ODD, ODD, st.sampled_from(["rtsp", "postgresql", "http", "mqtts", "srt"]))
def test_no_password_before_the_host_is_shown(token: str, before: str, behind: str, scheme: str) -> None:
    password = before + token + behind
    for entry in (quote(password, safe=""), f"joe:{quote(password, safe='')}", f"joe:x{token}{behind}"):
        assert token not in without_password(f"{scheme}://{entry}@camera.example/1?fps=5")


@given(TOKENS, ODD, ODD, NAMES, st.integers(0, 3))
def test_no_password_in_a_parameter_is_shown(token: str, before: str, behind: str, name: str, rounds: int) -> None:
    url = f"http://cam/v?fps=5&{name}={quote(before + token + behind, safe='')}&size=2"
    assert without_password(url).endswith("=***&size=2")
    for _ in range(rounds):
        url = f"http://gw/?url={quote(url, safe='')}"
    assert token not in without_password(url)
    assert token not in without_secrets(f"cannot read {url}: gone", url)


@given(TOKENS, ODD, NAMES)
def test_no_password_of_a_keyword_string_is_shown(token: str, odd: str, name: str) -> None:
    escaped = (odd + token).replace("\\", "\\\\").replace("'", "\\'")
    assert token not in without_password(f"host=db {name}='{escaped}' dbname=mien")
    assert token not in without_password(f"{name} = {token} host=db")


@given(st.text(max_size=60) | st.text("ab:/@?&=%25340;'\" ", max_size=60))
def test_anything_is_masked_once(text: str) -> None:
    shown = without_password(text)
    assert without_password(shown) == shown
    without_secrets(text, text)
