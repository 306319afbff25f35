"""One training run, from a frozen `RunConfig` to a curve of metrics and learned labels.

    config           the settings of a run, the registry of names, checks before torch is imported
    data             a data set in four parts: train, meta, validation, test
    models           networks by name
    methods          learned labels, and the baselines
    metrics          everything that is measured, each defined once
    label_history    how the labels moved over the epochs
    teacher_logits   what a teacher leaves for its students
    acceleration     precision, memory format, compilation
    rng              one random stream per purpose
    run              the loop, an epoch at a time
    replicates       one configuration on several seeds

`run.Run` is the entry point. Its state can be saved between epochs and restored bit for bit.
"""
