"""From the tables of learned labels and a reference to a `Semantics`."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.frames.class_similarity import agreement, most_alike
from harness.common.formatting import format_correlation, format_interval, format_p_value
from harness.confirm.configurations import Configuration
from harness.results import Semantics
from harness.results.measurement import Interval
from harness.results.semantics import ArmSemantics, RankAgreement, ReferenceSummary
from harness.semantics.references import Reference
from harness.space import Space
from harness.statistics import MantelResult

SHOWN_PAIRS = 5
ALPHA = 0.05

MEANING = {
    "rho": "Spearman's over pairs of classes, of the mean table over the seeds; `symmetric`: of (Y + Yᵀ)/2, i < j",
    "p_value": "share of renamings of the classes, rows and columns together, that agree as well or better",
    "ci95": "over classes (jackknife); with few classes wide",
    "off_class_mass": "share of a label on other classes than its own, mean over classes",
    "rho_by_run": "rho of each run's own table",
}


def build_semantics(
    name: str,
    space: Space,
    chosen: Mapping[str, Configuration],
    tables: Mapping[str, Sequence[np.ndarray]],
    class_names: Sequence[str],
    reference: Reference,
) -> Semantics:
    """The semantics of the sweep `name`.

    Args:
        chosen: the configuration of each arm.
        tables: of each run of that configuration, by arm.
    """
    arms = {arm: _summarise_arm(chosen[arm], tables[arm], reference, space.search.seed) for arm in tables}
    significant, sentence = _sentence(chosen, arms, reference, space)
    return Semantics(
        name=name,
        class_names=list(class_names),
        reference=ReferenceSummary(table=reference.table.tolist(), **reference.facts),
        arms=arms,
        significant=significant,
        sentence=sentence,
        meaning=MEANING,
    )


def _summarise_arm(
    configuration: Configuration, tables: Sequence[np.ndarray], reference: Reference, seed: int
) -> ArmSemantics:
    mean = np.mean(tables, axis=0)
    correlations = agreement(mean, reference.table, seed)
    by_run: list[float | None] = (
        [agreement(table, reference.table, seed).symmetric.rho for table in tables] if len(tables) > 1 else []
    )
    return ArmSemantics(
        role=configuration.role,
        method=configuration.config.method,
        trial=configuration.trial,
        runs=len(tables),
        off_class_mass=correlations.mass,
        symmetric=_agreement(correlations.symmetric),
        directed=None if correlations.directed is None else _agreement(correlations.directed),
        rho_by_run=by_run,
        most_alike=most_alike(mean, SHOWN_PAIRS),
        table=mean.tolist(),
    )


def _agreement(result: MantelResult) -> RankAgreement:
    ends = Interval(result.low, result.high)
    return RankAgreement(rho=result.rho, ci95=ends, p_value=result.p_value, classes=result.classes, pairs=result.pairs)


def _sentence(
    chosen: Mapping[str, Configuration], arms: Mapping[str, ArmSemantics], reference: Reference, space: Space
) -> tuple[bool, str]:
    """Whether agreement is shown, in the arm that the search's objective puts first, and the sentence about it."""
    sign = space.objective.sign
    arm = max((arm for arm in arms if chosen[arm].role == "arm"), key=lambda arm: sign * chosen[arm].value)
    agreement, name = arms[arm].symmetric, chosen[arm].name
    if agreement.rho is None or agreement.p_value is None:
        return False, f"the labels of {name} take all classes to be equally alike"
    numbers = (
        f"rank correlation {format_correlation(agreement.rho)} {format_interval(agreement.ci95, digits=2)} over "
        f"{agreement.pairs} pairs of {agreement.classes} classes, p = {format_p_value(agreement.p_value)}, "
        f"{arms[arm].runs} run{'s' if arms[arm].runs > 1 else ''}"
    )
    significant = agreement.p_value <= ALPHA
    who = "learned labels" if chosen[arm].config.method == "learned" else arm
    words = f"{who} ({name}) take the same classes to be alike as {reference.words}: {numbers}"
    return significant, words if significant else f"not shown that {words}"
