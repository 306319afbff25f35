"""Settings of a run, checked without torch: `run_config`, the `registry` of names, `methods`, `checks`."""
