"""What ``bench_search.py`` compares, and how each is run and measured."""
