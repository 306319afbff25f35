"""HTML pages without network: the report of a sweep, a comparison of sweeps, probably wrong labels."""
