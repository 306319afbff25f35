"""Data of a sweep as data frames and arrays: trials, comparisons, label snapshots, class similarity."""
