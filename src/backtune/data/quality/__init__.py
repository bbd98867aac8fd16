"""What may be wrong with bars that obey the schema."""

from backtune.data.quality.judgement import Extremes, judge_bars, measure_extremes

__all__ = ["Extremes", "judge_bars", "measure_extremes"]
