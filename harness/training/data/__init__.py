"""The data of a run in four parts that are never mixed.

    train   noisy labels, learned          meta   clean, drives the labels
    val     clean, drives the search       test   opened by a confirmation

    readers → arrays (cached by array_cache) → pool (and apart from it the test part) → splits (by seed, with noise)

A trial cannot reach the test part: `load_pool` does not return it. A seed draws the other three anew, each with all
classes in proportion. `summarise` says what was read, `data_facts` what a run was given of it. Nothing is imported
here: readers, arrays and summaries are used without torch.
"""
