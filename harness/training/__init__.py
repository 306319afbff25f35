"""One training run, from a frozen `RunConfig` to a curve of metrics and learned labels.

`config` says what a run is (no torch: the command line validates with it in milliseconds); `data` loads a data set
and cuts it into its four parts; `noise` spoils the training labels; `models` is the registry of networks; `run`
holds the loop, one epoch at a time, with a state that can be saved and taken up again bit for bit.
"""
