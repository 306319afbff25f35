"""Results of the commands as frozen pydantic models, each the content of one JSON file.

    summary         SweepSummary    summary.json     what a search found
    confirmation    Confirmation    confirm.json     what holds of it on fresh seeds and the test part
    distillation    Distillation    distill.json     what its classifiers teach a student
    provenance      Provenance      provenance.json  code, libraries and machine behind the numbers
    semantics       Semantics       semantics.json   which classes its labels take to be alike
    sweep_data      SweepData       data.json        what data its runs read
    measurement     parts that they share: intervals, paired differences, a configuration's results over seeds
    seed_result     SeedResult      one run on one seed, of a confirmation, a teacher or a reference model
    objectives      the objectives of a sweep and their values
    search_sentence what a search found, in a sentence
    tracking_status how far a tracking server has a sweep's events
    result_file     load and save, with the format version

Accuracies, shares of labels and their differences are fractions of one, times are seconds.
"""

from harness.results.confirmation import Confirmation
from harness.results.distillation import Distillation
from harness.results.provenance import Provenance
from harness.results.result_file import ResultFileError
from harness.results.semantics import Semantics
from harness.results.summary import SweepSummary

__all__ = ["Confirmation", "Distillation", "Provenance", "ResultFileError", "Semantics", "SweepSummary"]
