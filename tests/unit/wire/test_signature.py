"""The text that both sides sign: a table of literal signatures, and what changes them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from backtune.wire.api_key import ApiKey
from backtune.wire.signature import SignedContent, make_auth_headers, make_auth_message

SECRET = bytes(range(32))
SIGNING = bytes(range(32, 64))
PARTS = SignedContent(
    "1700000000", "n" * 16, "POST", "/api/v1/optimize/single", "a=1&b=%2F", b'{"trials": 5}'
)
# With Python's hmac alone, over the lines of the module's docstring.
SIGNATURE = "3b0847738a0676edfa2a34601aaa912b15725583247e21361f1aaeb1584b1719"


def test_canonical_text_is_the_lines_of_the_documentation():
    assert PARTS.canonical_text.decode().split("\n") == [
        "backtune-v1",
        "1700000000",
        "nnnnnnnnnnnnnnnn",
        "POST",
        "/api/v1/optimize/single",
        "a=1&b=%2F",
        "9a1dd89fe7796669872da6157c3c01b496f16e8e1ef7931a6aa13f1b92958a7b",
    ]
    assert PARTS.sign(SIGNING) == SIGNATURE


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "1700000001"},
        {"nonce": "m" * 16},
        {"method": "PUT"},
        {"path": "/api/v1/optimize/batch"},
        {"path": "/api/v1/optimize/single/"},
        {"query": "b=%2F&a=1"},
        {"query": "a=1&b=/"},
        {"query": ""},
        {"body": b'{"trials": 50}'},
        {"body": b'{"trials":5}'},
        {"body": b""},
    ],
    ids=str,
)
def test_every_part_changes_the_signature(change):
    changed = replace(PARTS, **change)
    assert changed.sign(SIGNING) != PARTS.sign(SIGNING)
    assert not changed.is_signature(SIGNING, PARTS.sign(SIGNING))
    assert changed.is_signature(SIGNING, changed.sign(SIGNING))


def test_another_secret_is_another_signature():
    assert not PARTS.is_signature(SECRET, PARTS.sign(SIGNING))


def test_parts_do_not_run_into_each_other():
    assert replace(PARTS, path="/ab", query="c").sign(SIGNING) != replace(PARTS, path="/a", query="bc").sign(
        SIGNING
    )


KEY = ApiKey("0123456789abcdef", SECRET)
TEXT = f"bt_0123456789abcdef_{SECRET.hex()}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXT, KEY),
        (f"{TEXT}.{SIGNING.hex()}", replace(KEY, signing_secret=SIGNING)),
        ("", None),
        ("bt_", None),
        (TEXT[:-1], None),
        (TEXT + "0", None),
        (TEXT + ".", None),
        (TEXT + "\n", None),
        (" " + TEXT, None),
        (TEXT.upper(), None),
        (f"{TEXT}.{SIGNING.hex()[:-2]}", None),
        (TEXT.replace("bt_", "xx_"), None),
        ("bt_0123456789abcdeg" + TEXT[19:], None),
        ("bt_\u0660123456789abcdef" + TEXT[19:], None),
    ],
)
def test_texts_of_keys(text, expected):
    assert ApiKey.parse(text) == expected


def test_a_key_shows_its_secrets_to_its_holder_alone():
    key = replace(KEY, signing_secret=SIGNING)
    assert ApiKey.parse(key.full_text) == key
    assert key.header_value == TEXT
    assert SIGNING.hex() not in key.header_value
    assert SECRET.hex() not in repr(key)
    assert str(SECRET) not in repr(key)


def test_headers_of_a_key_that_signs_and_of_one_that_does_not():
    assert make_auth_headers(KEY, "GET", "/x") == {"X-API-Key": TEXT}
    headers = make_auth_headers(
        replace(KEY, signing_secret=SIGNING), "post", "/x", "q=1", b"body", now=1700000000.9
    )
    parts = SignedContent("1700000000", headers["X-Nonce"], "POST", "/x", "q=1", b"body")
    assert headers == {
        "X-API-Key": TEXT,
        "X-Timestamp": "1700000000",
        "X-Nonce": headers["X-Nonce"],
        "X-Signature": parts.sign(SIGNING),
    }
    assert len(headers["X-Nonce"]) == 32


def test_first_message_of_a_socket():
    assert make_auth_message(KEY) == {"type": "auth", "api_key": TEXT}
    message = make_auth_message(replace(KEY, signing_secret=SIGNING), now=1700000000)
    parts = SignedContent("1700000000", message["nonce"], "SOCKET", "/ws")
    assert message["signature"] == parts.sign(SIGNING)
    assert message["nonce"] != make_auth_message(replace(KEY, signing_secret=SIGNING))["nonce"]


def test_the_documented_example_prints_what_the_page_says(capsys):
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
    code, printed = re.search(r"```python\n(.*?)```\n\nprints `([0-9a-f]{64})`", page, re.DOTALL).groups()
    exec(compile(code, "security.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == f"{printed}\n"
    body = b'{"strategy_name": "RSIStrategy", "asset": "BTCUSD", "timeframe": "1h"}'
    parts = SignedContent("1700000000", "0123456789abcdef" * 2, "POST", "/api/v1/optimize/single", "", body)
    assert parts.sign(bytes.fromhex("00112233445566778899aabbccddeeff" * 2)) == printed
