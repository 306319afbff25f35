"""The data of a sweep: summarised before the first trial, stored in `data.json`, and compared in each later session.

Later sessions of the sweep, its confirmation and its distillation refuse data that differ from those of the search,
since results on different data would stand in one table and one verdict.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from harness.common.errors import InputError
from harness.common.formatting import format_list
from harness.results.result_file import ResultFile
from harness.space import Space
from harness.space.arm import Arm
from harness.space.base import Value
from harness.space.parameters import AnyParameter, CategoricalParameter
from harness.training.config.checks import check_config
from harness.training.config.registry import MODELS, NOISES, is_user_object
from harness.training.config.run_config import RunConfig
from harness.training.config.user_code import check_imports
from harness.training.data_summary import DATA_SETTINGS, SETTINGS_OF_DATA_ERRORS, WRAPPER, DataSummary

SEARCHABLE = (*DATA_SETTINGS, "noise")
"""Settings by which a space may use several data sets, one in several forms, or other labels of one."""


class SweepData(ResultFile):
    """What a sweep read: a summary of each data set that its runs use, or of each form of one."""

    FILE: ClassVar[str] = "data.json"
    WRITTEN_BY: ClassVar[str] = "harness.search"

    format_version: int = 2
    data_sets: list[DataSummary]
    unused: list[str] = Field(default=[], description="what no run uses of them, a sentence each")

    @property
    def text(self) -> str:
        """A paragraph for each data set, which begins with `data:`; then the settings that no run uses."""
        return "\n".join([*(data.text for data in self.data_sets), *map(WRAPPER.fill, self.unused)])

    @property
    def sentences(self) -> list[str]:
        """The same without line ends, a sentence for each data set."""
        return [*(data.sentence for data in self.data_sets), *self.unused]

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the sweep's MLflow run."""
        return {
            "data": ", ".join(dict.fromkeys(data.dataset for data in self.data_sets)),
            "data_digest": ", ".join(data.digest for data in self.data_sets),
        }

    def digest(self, config: RunConfig) -> str:
        """The digest of the data of a run; empty if the run has settings that were not summarised."""
        return next((data.digest for data in self.data_sets if data.concerns(config)), "")

    def chance(self, config: RunConfig) -> float | None:
        """Accuracy of naming the most frequent class, on the test part of a run's data; None if it is not known."""
        data_of_run = next((data for data in self.data_sets if data.concerns(config)), None)
        return None if data_of_run is None else data_of_run.majority_share

    def changes_from(self, before: "SweepData") -> list[str]:
        """What differs from what the sweep read before, a line each."""
        return [
            f"{data.dataset}: {change}"
            for data in self.data_sets
            for earlier in before.data_sets
            if earlier.concerns(data)
            for change in data.changes_from(earlier)
        ]


def read_data(configs: Iterable[RunConfig]) -> SweepData:
    """Read the data sets of the runs, each once, or their summaries from the cache; list the settings that no run uses.

    Raises:
        InputError: a file or a model is missing, or settings exclude each other.
        DataError: a data set cannot be read, or its parts do not fit together.
    """
    configs = list(configs)
    problems = list(dict.fromkeys(problem for config in configs for problem in check_config(config)))
    problems = problems or [
        *check_imports("model", (config.model for config in configs), MODELS),
        *check_imports("noise", (config.noise for config in configs)),
    ]
    if problems:
        raise InputError("\n".join(problems))
    from harness.training.data.arrays import load_summary  # NumPy takes a tenth of a second to import

    summaries: list[DataSummary] = []
    for config in configs:
        if not any(summary.concerns(config) for summary in summaries):
            summaries.append(load_summary(config))
    _try_noises(configs)
    return SweepData(data_sets=summaries, unused=list(_unused(configs, summaries)))


def _try_noises(configs: Iterable[RunConfig]) -> None:
    """Corrupt the labels by each noise of a user's own, of each data set; DataError if one does not return classes."""
    tried = {(config.noise, config.dataset): config for config in configs if is_user_object(config.noise)}
    for config in tried.values():
        from harness.training.data.splits import load_splits  # torch takes seconds

        load_splits(config)


def _unused(configs: Sequence[RunConfig], data_sets: Iterable[DataSummary]) -> Iterator[str]:
    yield from _unused_noise(configs)
    for data in data_sets:
        noises = {config.noise: None for config in configs if data.concerns(config)}
        if "given" not in noises and any(part.given for part in data.parts):
            yield (
                f"the given labels of {data.dataset} are not used, as noise is {format_list(noises)}; noise: given "
                "trains on them"
            )


def _unused_noise(configs: Sequence[RunConfig]) -> Iterator[str]:
    """Settings of the noise that change no label in any run."""
    noises = {config.noise: None for config in configs if config.noise_rate}
    if noises and all(noise in ("none", "given") for noise in noises):
        yield f"noise_rate is not used, as noise is {format_list(noises)}; choose a noise, or remove the rate"
    noises = {config.noise: None for config in configs if config.noise_map}
    if noises and all(noise in ("none", "given", *NOISES) and noise != "asymmetric" for noise in noises):
        yield f"noise_map is not used, as noise is {format_list(noises)}; asymmetric noise has one"
    noises = {config.noise: None for config in configs}
    if not any(config.noise_rate for config in configs) and (idle := [noise for noise in noises if noise in NOISES]):
        yield f"noise {format_list(idle)} changes no label, as noise_rate is 0; set it"


def check_data(
    configs: Iterable[RunConfig], folder: Path, show: Callable[[str], object], *, remedy: str = ""
) -> SweepData:
    """Read the data of the runs, show what was read, and compare it with what the sweep in `folder` read before.

    Raises:
        InputError, DataError: as `read_data`; or the data are other ones than before. Nothing was changed.
    """
    data = read_data(configs)
    before = SweepData.load_or_none(folder)
    if before is not None and (changes := data.changes_from(before)):
        lines = "\n".join(f"  {line}" for line in changes)
        raise InputError(
            f"{folder}: expected the data that this sweep began with, got other ones; restore them, or "
            f"{remedy or 'search anew under another name'}:\n{lines}"
        )
    show(data.text)
    return data


def example_configs(space: Space) -> Iterator[RunConfig]:
    """Runs that together use every data set of the space: of each arm the one at the low ends of its parameters.

    Where settings of the data are searched, there is one for each combination of their choices, or of both ends of
    their ranges; and one for each such value of another setting that decides whether data and model fit.
    """
    for arm in space.arms:
        values = {name: _values(arm.parameters[name]) for name in arm.parameters if name in SETTINGS_OF_DATA_ERRORS}
        of_data = [name for name in values if name in SEARCHABLE]
        for combination in itertools.product(*(values.pop(name) for name in of_data)):
            yield _example(arm, dict(zip(of_data, combination, strict=True)))
        for name, choices in values.items():
            yield from (_example(arm, {name: value}) for value in choices)


def _example(arm: Arm, values: Mapping[str, Value]) -> RunConfig:
    return arm.config(arm.sample(lambda name, parameter: values.get(name, parameter.ends[0])))


def _values(parameter: AnyParameter) -> Sequence[Value]:
    return parameter.choices if isinstance(parameter, CategoricalParameter) else parameter.ends
