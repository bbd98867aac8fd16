"""Splits and dividends: adjusted columns and corporate actions beside the prices, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from backtune.data.schema import PRICES
from backtune.errors import BarsError

Adjust = Literal["all", "splits", "none"]

# Vendors round adjusted prices; below this relative difference they say the same.
_SAME: Final = 5e-5


@dataclass(frozen=True)
class Actions:
    """The columns of a file that tell of splits and dividends, as numbers.

    Attributes:
        adjusted: The adjusted open, high, low and close, or the close alone, or nothing.
        adjusted_volume: The adjusted volume, or None.
        splits: (n,) the ratio of a split on its day, as 4 for four new shares for an old one; 1, 0 or null on other days.
        dividends: (n,) the cash paid for a share on its ex-day; 0 or null on other days.
        name: The name of the column to speak of.
        is_raw: True if the vendor is known to give prices beside dividends that are not adjusted for them.
    """

    adjusted: tuple[pl.Series, ...] = ()
    adjusted_volume: pl.Series | None = None
    splits: pl.Series | None = None
    dividends: pl.Series | None = None
    name: str = ""
    is_raw: bool = False


def adjust_bars(
    bars: pl.DataFrame, actions: Actions, adjust: Adjust | None, *, source: str
) -> tuple[pl.DataFrame, str | None]:
    """Adjust prices and volumes for splits and dividends.

    Args:
        bars: The columns of the schema, oldest first, with nulls where the file has no price.
        adjust: ``all`` (splits and dividends), ``splits``, ``none``; None refuses where it would matter.

    Returns:
        The bars, and a phrase that says what was done, None where the file tells of nothing.

    Raises:
        BarsError: The choice is left open and matters, or cannot be made with the columns that there are.
    """
    splits = _ratios(actions.splits, bars.height)
    unadjusted = _unadjusted_splits(bars["close"].to_numpy(), splits)
    dividends = np.zeros(bars.height)
    if actions.dividends is not None:
        dividends = np.asarray(actions.dividends.fill_null(0.0).to_numpy())
    if not actions.adjusted and not unadjusted.any() and not actions.is_raw and (dividends != 0).any():
        return (
            bars,
            "as they stand; the file's dividends are not applied, for prices beside them are mostly adjusted already",
        )
    differs = False
    if actions.adjusted:
        ratio = (actions.adjusted[-1] / bars["close"]).drop_nulls().drop_nans()
        differs = bool(((ratio - 1).abs() > _SAME).any())
    if not differs and not unadjusted.any() and not (dividends != 0).any():
        return bars, None
    what = f"{actions.name!r} differs from the close" if differs else "the file tells of splits and dividends"
    if adjust is None:
        raise BarsError(
            f"{what}: read it by Bars.from_frame(frame, adjust='all') for prices adjusted for splits and dividends, with "
            "adjust='splits', or with adjust='none' for prices as they stand",
            source=source,
            column=actions.name or None,
        )
    if adjust == "none":
        return bars, f"as they stand, though {what}"
    if adjust == "all" and differs:
        return _take_adjusted(bars, actions, unadjusted, splits)
    if adjust == "splits" and differs and actions.splits is None:
        raise BarsError(
            f"{what}, and no column of splits tells them from dividends; pass --adjust all or --adjust none",
            source=source,
            column=actions.name,
        )
    return _scale_by_actions(
        bars, splits, unadjusted, dividends if adjust == "all" else np.zeros(bars.height)
    )


def _take_adjusted(
    bars: pl.DataFrame, actions: Actions, unadjusted: np.ndarray, splits: np.ndarray
) -> tuple[pl.DataFrame, str]:
    if len(actions.adjusted) == len(PRICES):
        adjusted = bars.with_columns(c.alias(name) for name, c in zip(PRICES, actions.adjusted, strict=True))
        phrase = "adjusted for splits and dividends: the file's adjusted columns"
    else:
        factor = (actions.adjusted[0] / bars["close"]).fill_nan(None)
        adjusted = bars.with_columns(
            *((pl.col(n) * factor).alias(n) for n in ("open", "high", "low")),
            actions.adjusted[0].alias("close"),
        )
        adjusted = _enclose(adjusted)
        phrase = f"adjusted for splits and dividends by {actions.name!r} / close"
    if actions.adjusted_volume is not None:
        return adjusted.with_columns(
            actions.adjusted_volume.alias("volume")
        ), f"{phrase}, that of the volume too"
    if unadjusted.any():
        shares = _later_product(np.where(unadjusted, splits, 1.0))
        return adjusted.with_columns(
            (pl.col("volume") * pl.Series(shares)).alias("volume")
        ), f"{phrase}; volumes by the splits"
    return adjusted, phrase


def _scale_by_actions(
    bars: pl.DataFrame, splits: np.ndarray, unadjusted: np.ndarray, dividends: np.ndarray
) -> tuple[pl.DataFrame, str | None]:
    """Scale the rows before each action: by 1 / ratio for a split, by 1 - dividend / close of the day before."""
    close = bars["close"].to_numpy()
    before = np.concatenate([[np.nan], close[:-1]])
    shares = _later_product(np.where(unadjusted, splits, 1.0))
    paid = np.where(
        (dividends != 0) & np.isfinite(before) & (dividends < before), 1 - dividends / before, 1.0
    )
    factor = _later_product(paid) / shares
    n_splits, n_dividends = int(unadjusted.sum()), int((paid != 1).sum())
    if not n_splits and not n_dividends:
        return bars, "as they stand, already adjusted for the file's splits" if (splits != 1).any() else None
    scaled = bars.with_columns(
        *((pl.col(name) * pl.Series(factor)).alias(name) for name in PRICES),
        (pl.col("volume") * pl.Series(shares)).alias("volume"),
    )
    return _enclose(scaled), f"adjusted for {n_splits} splits and {n_dividends} dividends of the file"


def _enclose(bars: pl.DataFrame) -> pl.DataFrame:
    """Let high and low enclose open and close again where scaling moved one by a last digit."""
    high = pl.max_horizontal("high", "open", "close")
    low = pl.min_horizontal("low", "open", "close")
    return bars.with_columns(
        high=pl.when(high <= pl.col("high") * (1 + 1e-9)).then(high).otherwise("high"),
        low=pl.when(low >= pl.col("low") * (1 - 1e-9)).then(low).otherwise("low"),
    )


def _later_product(values: np.ndarray) -> np.ndarray:
    """Return for each row the product of the values of all later rows."""
    product = np.cumprod(values[::-1])[::-1]
    return np.asarray(np.append(product[1:], 1.0))


def _ratios(splits: pl.Series | None, n: int) -> np.ndarray:
    if splits is None:
        return np.ones(n)
    values = splits.fill_null(1.0).to_numpy().copy()
    values[(values <= 0) | ~np.isfinite(values)] = 1.0
    return values


def _unadjusted_splits(close: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return the rows of splits at which the close steps by nearer the ratio than not at all: prices not yet adjusted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.concatenate([[np.nan], close[:-1] / close[1:]])
        is_nearer = np.abs(np.log(step / splits)) < np.abs(np.log(step))
    return np.asarray((splits != 1) & is_nearer & np.isfinite(step))
