"""`python -m harness.semantics NAME`: do the labels that a sweep learned say which classes are alike?

The learned labels of each arm's best configuration, on all fresh seeds where it was confirmed, give a table of
classes; a reference gives another; `analysis.frames.class_similarity` compares them by Mantel's test.

    run          the function `semantics`, which a notebook can call
    references   votes: soft labels that people gave, where the data set has them; never trained on
                 model: the mean prediction for images of each class, of models trained one-hot on seeds of their own,
                 on images that they did not see
                 superclasses:FILE: classes of one group, by name or number, are alike, of two are not
    findings     the comparison: `semantics.json`
    terminal     what the command line of `__main__` prints

A class label is a row of the table. Labels of single images are averaged over the images whose true class it is. A
reference model draws its own split of the sweep's pool of images; with a small `train_size`, as in
search_spaces/fashion_class_labels.yaml, they share few images. The test part is not opened.
"""

from harness.semantics.references import Reference
from harness.semantics.run import semantics

__all__ = ["Reference", "semantics"]
