"""Tracking status of a sweep: the events that its MLflow server has received."""

from pydantic import Field

from harness.results.result_file import ResultPart


class TrackingStatus(ResultPart):
    """Server, run, and number of events that are pending or skipped."""

    tracking_uri: str = Field(description="without passwords")
    experiment: str | None
    experiment_id: str | None
    run_id: str | None = Field(description="of the sweep's own run; None before the server has anything")
    pending: int = Field(description="events that the server lacks")
    skipped: int = Field(description="values and files that the server refused or kept failing on")
    unreachable: str = Field(description="why the server cannot be reached; empty where it can")
