"""One training run, from a frozen `RunConfig` to a curve of metrics and learned labels.

    without torch, for command lines           with torch
    config   what a run is                     data      a data set, cut into its four parts
    names    data sets and models by name      noise     how training labels are spoiled
    places   where files of data sets are      models    networks
    check    what is missing, told early       augment   training images varied, on the device
    seeds    one seed a purpose                methods   learned labels, and what they are compared with
                                               metrics   what is measured, each defined once
                                               course  how the labels went, in little space
                                               acceleration  how a run is computed
                                               run       the loop, an epoch at a time
                                               replicates  one configuration on several seeds
                                               teaching  what a teacher leaves for its students
                                               whole     files that are there whole or not at all
                                               url       places in an object store, and their copies here

`run.Run` is the way in. Its state can be saved between epochs and taken up again bit for bit.
"""
