"""One trial on a worker: runner, checkpoints, time limit, scratch folder. Knows no Ray."""
