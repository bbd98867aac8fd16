"""Checks for bars that obey the schema and may still be wrong."""

from backtune.data.quality.judgement import Extremes, judge_bars, measure_extremes

__all__ = ["Extremes", "judge_bars", "measure_extremes"]
