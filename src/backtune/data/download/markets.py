"""Markets of an exchange, and their names in a catalog."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Market:
    """A market of an exchange.

    Attributes:
        symbol: The symbol as ccxt writes it, such as ``BTC/USDT`` or ``BTC/USDT:USDT``.
        kind: ``spot``, ``swap`` (a perpetual future), ``future`` or ``option``.
        settle: the currency that a contract is settled in; None on spot.
        bars_per_page: bars in an answer at most; None where ccxt does not know.
        payments_per_page: funding payments to ask for; None for what the exchange gives by itself.
    """

    exchange: str
    symbol: str
    kind: str
    base: str
    quote: str
    settle: str | None
    bars_per_page: int | None
    payments_per_page: int | None

    @property
    def asset(self) -> str:
        """The name in the catalog, which no other market of the exchange gets: ``BTCUSDT`` on spot, ``BTCUSDT.P`` for
        the perpetual future, ``BTCUSD.P-BTC`` where it is settled in another currency than it is quoted in.
        """
        perpetual = ".P" if self.kind == "swap" else ""
        settled = f"-{self.settle}" if self.settle not in (None, self.quote) else ""
        _, _, contract = self.symbol.partition(":")
        _, dash, terms = contract.partition("-")
        return f"{self.base}{self.quote}{perpetual}{settled}{dash}{terms}"
