"""Provenance of a sweep's numbers: command, code, library versions, hardware, warm start."""

from typing import Any, ClassVar

from pydantic import Field

from harness.results.result_file import ResultFile, ResultPart


class CodeVersion(ResultPart):
    """State of the git working tree; None where it is unknown."""

    commit: str | None
    dirty: bool | None = Field(description="whether there were uncommitted changes")


class Hardware(ResultPart):
    """The machine that the driver runs on."""

    cpu: str
    cores: int = Field(description="that the process may use")
    memory_bytes: int
    gpus: list[str] = Field(description="name and memory of each")

    def __str__(self) -> str:
        return ", ".join([self.cpu, *self.gpus])


class WarmStartPoint(ResultPart):
    """Parameters of a trial of an earlier sweep."""

    trial: str
    point: dict[str, Any]


class WarmStartOrigin(ResultPart):
    """The earlier sweep whose best configurations this one tries first."""

    sweep: str = Field(description="as given to --warm-start")
    best: int = Field(description="configurations per arm asked for")
    folder: str
    commit: str | None
    points: dict[str, list[WarmStartPoint]] = Field(description="by arm")


class Provenance(ResultFile):
    """Provenance of a sweep or a confirmation: everything needed to run it again, without secrets."""

    FILE: ClassVar[str] = "provenance.json"
    FORMAT: ClassVar[int] = 1
    WRITTEN_BY: ClassVar[str] = "harness.search"

    time: str = Field(description="when the command started, UTC, ISO 8601")
    command: str = Field(description="the command line, without secrets")
    git: CodeVersion
    python: str
    versions: dict[str, str] = Field(description="installed version by package")
    hardware: Hardware
    platform: str
    host: str
    environment: dict[str, str] = Field(description="environment variables that change what is computed, or how fast")
    warm_start: WarmStartOrigin | None = None

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the sweep's MLflow run, to search runs by."""
        values = {
            "commit": self.git.commit,
            "dirty": self.git.dirty,
            "python": self.python,
            "torch": self.versions.get("torch"),
            "cpu": self.hardware.cpu,
            "cores": self.hardware.cores,
            "gpu": ", ".join(self.hardware.gpus) or "none",
            "host": self.host,
            "command": self.command,
            "warm_start": None if self.warm_start is None else self.warm_start.sweep,
        }
        return {name: str(value) for name, value in values.items() if value is not None}

    @property
    def trial_tags(self) -> dict[str, str]:
        """Tags of each trial's MLflow run: the code may change while a sweep goes on."""
        return {name: value for name, value in self.tags.items() if name in ("commit", "dirty")}

    def __repr__(self) -> str:
        changed = " with changes" if self.git.dirty else ""
        return f"Provenance(commit {(self.git.commit or 'unknown')[:12]}{changed}, {self.hardware}, {self.time[:10]})"
