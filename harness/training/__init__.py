"""One training run, from a frozen `RunConfig` to a curve of metrics and learned labels.

    config    the settings of a run, the registry of names, checks before torch is imported
    data      a data set in four parts: train, meta, validation, test
    models    networks by name
    methods   learned labels, and the baselines
    data_summary   summary of what was read
    batches        the batches of an epoch
    run       the loop, an epoch at a time, with `metrics`, `label_history`, `acceleration`, `rng`; on several seeds
              `replicates`

A run's state can be saved between epochs and restored bit for bit.
"""
