"""The reconciliation of recorded jobs with Ray and the folders of their sweeps, in a loop of one thread."""
