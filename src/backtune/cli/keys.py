"""``backtune keys``: who may use a gateway."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from backtune.cli.options import DatabaseUrl, Json, Runs, print_json, stdout_console

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
        typer.Option(help="What it may.", show_default=False),
    ],
    name: Annotated[str, typer.Option(help="For people: whose it is.")] = "",
    expires: Annotated[str, typer.Option(help="When it ends: 12h, 90d, or never.")] = "90d",
    signed: Annotated[bool, typer.Option("--signed", help="Every request must be signed.")] = False,
    unsigned_too: Annotated[
        bool, typer.Option("--unsigned-too", help="With --signed: unsigned requests are taken as well.")
    ] = False,
    rate: Annotated[
        str | None,
        typer.Option(
            help="Requests that it may make: 600/minute.  [default: the gateway's]", show_default=False
        ),
    ] = None,
    runs: Runs = None,
    database: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown once, and kept nowhere."""
    from backtune.cli.gateway_files import gateway_files
    from backtune.gateway.rate_limits import check_rate_limit

    seconds = _seconds("expires", expires)
    if rate is not None:
        check_rate_limit("rate", rate)
    with gateway_files(runs, database) as files:
        record, text = files.keys.create(
            role,
            name=_checked_name(name),
            expires_seconds=seconds,
            signing=("optional" if unsigned_too else "required") if signed else "off",
            rate=rate,
        )
        files.note("keys create", role, record.id)
    _show(record, text, as_json=as_json)


@app.command("list")
def list_keys(runs: Runs = None, database: DatabaseUrl = None, as_json: Json = False) -> None:
    """Show the keys there are, without their secrets."""
    from backtune.cli.gateway_files import gateway_files

    with gateway_files(runs, database) as files:
        rows = [_row(record) for record in files.keys.list_all()]
    if as_json:
        print_json({"keys": rows})
        return
    stdout_console().print(_table(rows))


@app.command("rotate")
def rotate(
    key_id: KeyId,
    grace: Annotated[str, typer.Option(help="For how long the secret before holds as well: 0s, 1h.")] = "1h",
    runs: Runs = None,
    database: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Give a key another secret; id, role and jobs stay."""
    from backtune.cli.gateway_files import gateway_files

    seconds = 0.0 if grace in ("0", "0s") else _seconds("grace", grace)
    if seconds is None:
        raise _no_duration("grace", grace, "0s, 12h or 90d")
    with gateway_files(runs, database) as files:
        record, text = files.keys.rotate(key_id, seconds)
        files.note("keys rotate", "done", key_id)
    _show(record, text, as_json=as_json)


@app.command("revoke")
def revoke(key_id: KeyId, runs: Runs = None, database: DatabaseUrl = None, as_json: Json = False) -> None:
    """End a key: within a second it lets nobody in, at any worker. Its jobs go on."""
    from backtune.cli.gateway_files import gateway_files

    with gateway_files(runs, database) as files:
        files.keys.revoke(key_id)
        files.note("keys revoke", "done", key_id)
    if as_json:
        print_json({"key_id": key_id, "state": "revoked"})
    else:
        typer.echo(f"revoked {key_id}")


def _seconds(option: str, text: str) -> float | None:
    from backtune.errors import SpecError
    from backtune.spec.timeframe import Timeframe

    if text == "never":
        return None
    try:
        return float(Timeframe.parse(text).seconds)
    except SpecError:
        raise _no_duration(option, text, "12h, 90d or never") from None


def _no_duration(option: str, text: str, examples: str) -> Exception:
    from backtune.errors import SpecError

    return SpecError(f"--{option}", f"{text!r} is no duration; write {examples}", value=text)


def _checked_name(name: str) -> str:
    from backtune.errors import SpecError

    if len(name) > 80 or not name.isprintable():
        raise SpecError("--name", "must be at most 80 characters of text", value=name)
    return name


def _show(record: KeyRecord, text: ApiKey, *, as_json: bool) -> None:
    if as_json:
        print_json({"api_key": text.full_text, **_row(record)})
        return
    console = stdout_console()
    console.print(f"[bold]{text.full_text}[/bold]", soft_wrap=True, highlight=False)
    console.print(f"key {record.id}, {record.role}, {_expiry(record)}. Keep it now: it is not shown again.")
    if text.signing_secret is not None:
        console.print("It signs requests: what stands after its dot is never sent.")


def _expiry(record: KeyRecord) -> str:
    return "ends never" if record.expires_at is None else f"ends {_moment(record.expires_at)}"


def _row(record: KeyRecord) -> dict[str, Any]:
    """A key for people and programs."""
    row = {name: value for name, value in asdict(record).items() if name not in _SECRET_MEMBERS}
    times = {name: _moment(value) for name, value in row.items() if name.endswith(("_at", "_until"))}
    return {"key_id": row.pop("id"), **row, **times, "state": record.state(time.time())}


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _table(rows: list[dict[str, Any]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    columns = ("key_id", "name", "role", "signing", "state", "expires_at", "last_used_at")
    table = Table(*columns, box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(str(row[column] or "") for column in columns))
    return table
