"""Reports and Pine scripts of sweeps."""
