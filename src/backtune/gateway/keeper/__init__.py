"""Keeps records, Ray and the sweeps' folders in agreement."""
