"""The measurements and simulations of `bench_scale.py`."""
