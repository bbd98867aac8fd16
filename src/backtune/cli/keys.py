"""The commands ``backtune keys``: make, list, rotate and revoke the keys of a gateway."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from backtune.cli.options import DatabaseUrl, Json, Runs, make_stdout_console, print_json

if TYPE_CHECKING:
    from backtune.gateway.keys.records import KeyRecord
    from backtune.wire.api_key import ApiKey

app = typer.Typer(no_args_is_help=True)

KeyId = Annotated[
    str, typer.Argument(help="The key's id, as `backtune keys list` shows it.", show_default=False)
]
_SECRET_MEMBERS = ("secret_hash", "previous_hash")


@app.command("create")
def create(
    role: Annotated[
        Literal["viewer", "trader", "risk_manager", "admin"],
        typer.Option(help="The role, which says what the key may do.", show_default=False),
    ],
    name: Annotated[str, typer.Option(help="A name for people, such as that of the owner.")] = "",
    expires: Annotated[str, typer.Option(help="The time until the key expires: 12h, 90d, or never.")] = "90d",
    signed: Annotated[
        bool, typer.Option("--signed", help="Every request with the key must be signed.")
    ] = False,
    unsigned_too: Annotated[
        bool, typer.Option("--unsigned-too", help="With --signed, accept unsigned requests as well.")
    ] = False,
    rate: Annotated[
        str | None,
        typer.Option(
            help="The rate limit of the key, such as 600/minute (default: that of the gateway).",
            show_default=False,
        ),
    ] = None,
    runs: Runs = None,
    database: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown once and stored nowhere."""
    from backtune.cli.gateway_files import open_gateway_files
    from backtune.gateway.rate_limits import check_rate_limit

    seconds = _parse_duration("expires", expires)
    if rate is not None:
        check_rate_limit("rate", rate)
    with open_gateway_files(runs, database) as files:
        record, text = files.keys.create(
            role,
            name=_check_name(name),
            expires_seconds=seconds,
            signing=("optional" if unsigned_too else "required") if signed else "off",
            rate=rate,
        )
        files.log_action("keys create", role, record.id)
    _print_key(record, text, as_json=as_json)


@app.command("list")
def list_keys(runs: Runs = None, database: DatabaseUrl = None, as_json: Json = False) -> None:
    """Show all keys, without their secrets."""
    from backtune.cli.gateway_files import open_gateway_files

    with open_gateway_files(runs, database) as files:
        rows = [_describe_key(record) for record in files.keys.list_all()]
    if as_json:
        print_json({"keys": rows})
        return
    make_stdout_console().print(_tabulate_keys(rows))


@app.command("rotate")
def rotate(
    key_id: KeyId,
    grace: Annotated[
        str, typer.Option(help="The time for which the old secret stays valid, such as 0s or 1h.")
    ] = "1h",
    runs: Runs = None,
    database: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Give a key a new secret. Its id, role and jobs stay."""
    from backtune.cli.gateway_files import open_gateway_files

    seconds = 0.0 if grace in ("0", "0s") else _parse_duration("grace", grace)
    if seconds is None:
        raise _make_duration_error("grace", grace, "0s, 12h or 90d")
    with open_gateway_files(runs, database) as files:
        record, text = files.keys.rotate(key_id, seconds)
        files.log_action("keys rotate", "done", key_id)
    _print_key(record, text, as_json=as_json)


@app.command("revoke")
def revoke(key_id: KeyId, runs: Runs = None, database: DatabaseUrl = None, as_json: Json = False) -> None:
    """Revoke a key. Within a second, no gateway accepts it; its jobs continue."""
    from backtune.cli.gateway_files import open_gateway_files

    with open_gateway_files(runs, database) as files:
        files.keys.revoke(key_id)
        files.log_action("keys revoke", "done", key_id)
    if as_json:
        print_json({"key_id": key_id, "state": "revoked"})
    else:
        typer.echo(f"revoked {key_id}")


def _parse_duration(option: str, text: str) -> float | None:
    from backtune.errors import SpecError
    from backtune.spec.timeframe import Timeframe

    if text == "never":
        return None
    try:
        return float(Timeframe.parse(text).seconds)
    except SpecError:
        raise _make_duration_error(option, text, "12h, 90d or never") from None


def _make_duration_error(option: str, text: str, examples: str) -> Exception:
    from backtune.errors import SpecError

    return SpecError(f"--{option}", f"{text!r} is not a duration; write {examples}", value=text)


def _check_name(name: str) -> str:
    from backtune.errors import SpecError

    if len(name) > 80 or not name.isprintable():
        raise SpecError("--name", "must be at most 80 characters of text", value=name)
    return name


def _print_key(record: KeyRecord, text: ApiKey, *, as_json: bool) -> None:
    if as_json:
        print_json({"api_key": text.full_text, **_describe_key(record)})
        return
    console = make_stdout_console()
    console.print(f"[bold]{text.full_text}[/bold]", soft_wrap=True, highlight=False)
    expiry = "never expires" if record.expires_at is None else f"expires {_format_time(record.expires_at)}"
    console.print(f"key {record.id}, {record.role}, {expiry}. Save it now: it is not shown again.")
    if text.signing_secret is not None:
        console.print("The key signs requests: the part after its dot is never sent.")


def _describe_key(record: KeyRecord) -> dict[str, Any]:
    """Return a key as plain data, without its secrets."""
    row = {name: value for name, value in asdict(record).items() if name not in _SECRET_MEMBERS}
    times = {name: _format_time(value) for name, value in row.items() if name.endswith(("_at", "_until"))}
    return {"key_id": row.pop("id"), **row, **times, "state": record.state(time.time())}


def _format_time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _tabulate_keys(rows: list[dict[str, Any]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    columns = ("key_id", "name", "role", "signing", "state", "expires_at", "last_used_at")
    table = Table(*columns, box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(str(row[column] or "") for column in columns))
    return table
