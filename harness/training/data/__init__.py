"""The data of a run in four parts that are never mixed.

    train   noisy labels, learned          meta   clean, drives the labels
    val     clean, drives the search       test   opened by a confirmation

    readers → array_cache → pool (and apart from it the test part) → splits, by the run's seed, with noise

A trial cannot reach the test part: `load_pool` does not return it. A seed draws the other three anew, each with all
classes in proportion. `data_facts` says what a run was given. Nothing is imported here: readers are used without torch.
"""
