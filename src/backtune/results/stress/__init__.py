"""The stress of a winner: its result under conditions that it was not searched under.

- :mod:`.winner_backtest`: the backtest behind the numbers of a row, to be run again with something changed
- :mod:`.conditions`: higher costs, later fills, skipped trades, noise on prices
- :mod:`.break_even`: the costs at which the gain is gone
- :mod:`.other_cells`: the same parameters on the grid's other assets and timeframes
- :mod:`.winner_stress`: all of it for a row
"""

from backtune.results.stress.break_even import BreakEven
from backtune.results.stress.conditions import Condition
from backtune.results.stress.other_cells import OtherCell
from backtune.results.stress.winner_stress import Stress, stress_winner

__all__ = ["BreakEven", "Condition", "OtherCell", "Stress", "stress_winner"]
