"""What `bench_scale.py` measures and simulates."""
