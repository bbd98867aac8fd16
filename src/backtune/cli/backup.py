"""``backtune backup`` and ``backtune restore``: the databases that no sweep makes again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from backtune.cli.options import DatabaseUrl, Json, Runs, print_json, runs_on_disk, stdout_console

if TYPE_CHECKING:
    from backtune.backup.archive import Backup, Copy
    from backtune.backup.store import Store

Part = Literal["records", "tracking"]
Only = Annotated[Part | None, typer.Option(help="One of the two alone.", show_default=False)]
Tracking = Annotated[
    str | None,
    typer.Option(
        envvar="BACKTUNE_TRACKING_DATABASE",
        help="Database of MLflow: sqlite:///PATH or postgresql://USER@HOST/NAME.  [default: the file in the runs folder]",
        show_default=False,
    ),
]


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for it.", show_default=False)],
    runs: Runs = None,
    database: DatabaseUrl = None,
    tracking: Tracking = None,
    only: Only = None,
    as_json: Json = False,
) -> None:
    """Copy the gateway's records and MLflow's database, each as it is at one moment, while both are in use."""
    from backtune.backup.archive import Backup

    stores = _stores(runs, database, tracking, only)
    if only is None and tracking is None and not stores["tracking"].rows():
        # Sweeps may be tracked elsewhere, or not at all.
        typer.echo(
            f"without tracking: no database at {stores['tracking'].shown}; --tracking names another", err=True
        )
        del stores["tracking"]
    _show(Backup.make(folder, stores), stores, as_json=as_json)


def restore(
    folder: Annotated[Path, typer.Argument(help="As `backtune backup` made it.", show_default=False)],
    runs: Runs = None,
    database: DatabaseUrl = None,
    tracking: Tracking = None,
    only: Only = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is in the databases now.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the backup and the databases, and change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fill empty databases from a backup, when every byte of it was found to be right. Stop the gateway first."""
    from backtune.backup.archive import Backup

    made = Backup.open(folder)
    stores = _stores(runs, database, tracking, only)
    if only is None:
        stores = {name: store for name, store in stores.items() if name in made.copies}
    made.check(stores, overwrite=overwrite)
    if not dry_run:
        made.restore(stores)
    _show(made, stores, as_json=as_json)


def _stores(
    runs: str | None, database: str | None, tracking: str | None, only: Part | None
) -> dict[str, Store]:
    from backtune.backup.addresses import open_store
    from backtune.gateway.settings import Settings
    from backtune.tracking.address import sqlite_uri

    folder = runs_on_disk(runs)
    records = Settings(runs=folder, data_root="", database=database).database_url
    stores = {
        "records": open_store("--database", records),
        "tracking": open_store("--tracking", tracking or sqlite_uri(folder)),
    }
    return stores if only is None else {only: stores[only]}


def _show(made: Backup, stores: dict[str, Store], *, as_json: bool) -> None:
    copies = {name: made.copies[name] for name in stores}
    if as_json:
        rows = {name: _row(copy, stores[name]) for name, copy in copies.items()}
        print_json(
            {"folder": str(made.folder), "made_at": made.made_at, "version": made.version, "copies": rows}
        )
        return
    console = stdout_console()
    for name, copy in copies.items():
        size = f"{copy.bytes / 2**20:,.1f} MiB" if copy.bytes >= 2**20 else f"{copy.bytes / 2**10:,.0f} KiB"
        console.print(
            f"[bold]{name}[/bold]  {made.folder / copy.file}, {size}, {len(copy.rows)} tables, "
            f"{sum(copy.rows.values()):,} rows  {stores[name].shown}",
            soft_wrap=True,
            highlight=False,
        )


def _row(copy: Copy, store: Store) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(copy), "database": store.shown}
