"""A hyperparameter research harness for *Learning Soft Labels via Meta Learning* (arXiv:2009.09496).

Labels are parameters: beside every few steps of the model, the training labels themselves take a step down the
gradient of the loss on a small trusted *meta set*. The harness searches the knobs of that scheme, tracks every run,
and tells whether the winner beats well-tuned baselines.

The packages are layers; each imports only what stands below it:

    distill                   whether what a sweep found teaches well
    search · confirm          a sweep; and whether its winner really wins, on fresh seeds and the test images
    semantics                 whether the labels it learned say which classes are alike
    compare · report          sweeps side by side; one sweep as a page (figures in the package `analysis`)
    train · sync              one run alone; send what a tracking server lacks
    tuning                    Optuna's study is the truth, Ray Tune the muscle
    tracking                  a durable spool on disk, and MLflow as a view of it
    space                     a YAML file → one frozen, validated `Space`
    training                  one run: its configuration, data, model and loop
    metalabel · statistics    the maths: of labels (torch), of intervals (NumPy, SciPy)
"""
