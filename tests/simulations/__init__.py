"""Simulated markets, of which the truth is known, and what the evidence of sweeps over them says.

The tests hold small versions of these simulations to bounds; ``make bench-evidence`` runs them at full size and prints figures.
"""
