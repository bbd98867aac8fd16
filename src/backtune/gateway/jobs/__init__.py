"""Jobs: submission, state, cancellation, resumption and results, and their reconciliation with Ray."""
