"""``backtune keys`` and ``backtune audit``, on the files of a gateway."""

import json
import re
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from backtune.cli import app
from backtune.errors import SpecError
from backtune.wire.api_key import ApiKey

KEY = re.compile(r"bt_[0-9a-f]{16}_[0-9a-f]{64}(\.[0-9a-f]{64})?")


@pytest.fixture
def run(tmp_path):
    def command(*arguments: str) -> str:
        result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*arguments, "--runs", str(tmp_path)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout

    return command


@pytest.fixture
def asked(run):
    return lambda *arguments: json.loads(run(*arguments, "--json"))


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_manager", "admin"])
def test_a_key_is_made_shown_once_and_listed_without_its_secret(run, asked, role):
    made = asked(
        "keys", "create", "--role", role, "--name", "desk 1", "--expires", "12h", "--rate", "5/second"
    )
    assert KEY.fullmatch(made["api_key"])
    key = ApiKey.parse(made["api_key"])
    assert (made["key_id"], made["role"], made["name"], made["signing"], made["rate"], made["state"]) == (
        key.key_id, role, "desk 1", "off", "5/second", "active",
    )  # fmt: skip
    (listed,) = asked("keys", "list")["keys"]
    assert listed == {name: value for name, value in made.items() if name != "api_key"}
    assert key.secret.hex() not in run("keys", "list")


@pytest.mark.parametrize(
    ("options", "signing"),
    [((), "off"), (("--signed",), "required"), (("--signed", "--unsigned-too"), "optional")],
)
def test_a_key_that_signs_has_a_second_half(asked, options, signing):
    made = asked("keys", "create", "--role", "trader", *options)
    assert made["signing"] == signing
    assert (ApiKey.parse(made["api_key"]).signing_secret is None) is (signing == "off")


def test_people_are_shown_the_key_alone_on_its_line(run):
    lines = run("keys", "create", "--role", "trader", "--signed").splitlines()
    assert KEY.fullmatch(lines[0])
    assert "not shown again" in lines[1]


def test_a_key_is_rotated_and_revoked(run, asked):
    made = asked("keys", "create", "--role", "admin")
    rotated = asked("keys", "rotate", made["key_id"], "--grace", "0s")
    assert rotated["key_id"] == made["key_id"]
    assert (rotated["generation"], rotated["api_key"] == made["api_key"]) == (2, False)
    assert asked("keys", "revoke", made["key_id"]) == {"key_id": made["key_id"], "state": "revoked"}
    assert [key["state"] for key in asked("keys", "list")["keys"]] == ["revoked"]
    with pytest.raises(SpecError, match="is revoked"):
        run("keys", "rotate", made["key_id"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("create", "--role", "trader", "--expires", "soon"),
            "--expires: 'soon' is not a duration; write 12h, 90d or never",
        ),
        (("create", "--role", "trader", "--rate", "often"), "rate: 'often' is no limit"),
        (("create", "--role", "trader", "--name", "a\nb"), "--name: must be at most 80 characters of text"),
        (("rotate", "0" * 16), f"key: there is no key '{'0' * 16}'"),
        (("revoke", "../x"), "key: there is no key '../x'"),
    ],
)
def test_what_is_wrong_is_told(run, arguments, message):
    with pytest.raises(SpecError) as refused:
        run("keys", *arguments)
    assert str(refused.value).startswith(message)


def test_commands_are_in_the_audit_log_and_a_change_to_it_is_found(run, asked, tmp_path):
    made = asked("keys", "create", "--role", "viewer")
    asked("keys", "revoke", made["key_id"])
    entries = asked("audit", "list")["entries"]
    assert [(entry["action"], entry["outcome"]) for entry in entries] == [
        ("keys create", f"viewer {made['key_id']}"), ("keys revoke", f"done {made['key_id']}"),
    ]  # fmt: skip
    verdict = asked("audit", "verify")
    assert (verdict["is_whole"], verdict["n_entries"]) == (True, 2)
    assert run("audit", "verify", "--noted", verdict["last"]).startswith("whole\n2 entries in order")
    with closing(sqlite3.connect(tmp_path / ".gateway" / "gateway.db")) as database, database:
        database.execute("DROP TRIGGER audit_no_delete")
        database.execute("DELETE FROM audit WHERE number = 1")
    result = CliRunner().invoke(app, ["audit", "verify", "--runs", str(tmp_path)])
    assert (result.exit_code, result.stdout.splitlines()[0]) == (1, "broken: entry 1 is missing")
