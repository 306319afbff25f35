"""Trials on Ray Tune.

trial_source   the protocol of what decides which trials run: a search's study, a plan of fresh seeds
executor       runs a source's trials with Ray's Tuner
tune_adapters  Ray Tune's search algorithm and scheduler over such a source
trainable      what Ray Tune starts on a worker
gpu_share      whether a trial fits into its share of a GPU
event_logger   writes a source's events into the sweep's event log
"""
