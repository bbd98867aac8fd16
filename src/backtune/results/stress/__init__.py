"""The stress of a winner: its result under conditions that it was not searched under.

- :mod:`.backtested`: what the numbers of a row were made with, to be backtested again with something changed
- :mod:`.conditions`: dearer, later, with trades left out, on prices with noise
- :mod:`.break_even`: the costs at which the gain is gone
- :mod:`.elsewhere`: the same parameters on the grid's other assets and timeframes
- :mod:`.winner`: all of it for a row
"""

from backtune.results.stress.break_even import BreakEven
from backtune.results.stress.conditions import Condition
from backtune.results.stress.elsewhere import Elsewhere
from backtune.results.stress.winner import Stress, stress_winner

__all__ = ["BreakEven", "Condition", "Elsewhere", "Stress", "stress_winner"]
