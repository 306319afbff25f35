"""Weights that trials left, as models that MLflow can load: `mlflow.pytorch.load_model("runs:/RUN/model")`.

    driver ──configurations──▶ a process of its own ──▶ trials/N/model/ ──event log──▶ the trial's run

A model takes images as the data set has them (float32, channels first) and returns logits. It is pickled as a module of
this package, so whoever loads it needs the harness. Importing torch and MLflow takes seconds and may fail, so another
process does that; a model that cannot be made costs the sweep one line of output.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.tracking.child_process import child_environment

WEIGHTS = "model.pt"
MODEL = "model"
TIMEOUT = 600.0
"""Seconds for all models together."""
EXAMPLES = 2
"""Images in the input example."""


def make_models(trials: Path, configs: Mapping[int, Mapping[str, Any]]) -> str:
    """Make `trials/N/model` from the weights of each trial N in `configs`; returns what went wrong, or ""."""
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "harness.tracking.mlflow_view.logged_models", str(trials)],
            input=json.dumps(configs),
            capture_output=True,
            timeout=TIMEOUT,
            env=child_environment(CUDA_VISIBLE_DEVICES=""),
            start_new_session=True,
            encoding="utf-8",
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    failure = finished.stderr.strip().splitlines() or [f"exit code {finished.returncode}"]
    return failure[-1] if finished.returncode else ""


def _make_model(trial: Path, settings: dict[str, Any]) -> None:
    import mlflow.pytorch
    import torch
    from mlflow.models import infer_signature

    from harness.training.acceleration import apply_precision
    from harness.training.config.run_config import RunConfig
    from harness.training.data.pool import load_pool
    from harness.training.models import build_model
    from harness.training.models.raw_pixel_model import RawPixelModel

    config = RunConfig(**settings)
    pool = load_pool(config)
    network = apply_precision(build_model(config.model, pool.shape, pool.classes, config.width), config)
    network.load_state_dict(torch.load(trial / WEIGHTS, map_location="cpu", weights_only=True))
    model = RawPixelModel(network, pool.pixels.mean.clone(), pool.pixels.std.clone()).eval()
    images = pool.pixels.stored[pool.index[:EXAMPLES]].float()
    with torch.no_grad():
        logits = model(images)
    temporary = trial / f".{MODEL}.{os.getpid()}"
    mlflow.pytorch.save_model(
        model,
        str(temporary),
        signature=infer_signature(images.numpy(), logits.numpy()),
        input_example=images.numpy(),
        # Given, as inferring them would load the model once more, which takes a minute.
        pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", "soft-label-harness"],
        metadata={"method": config.method, "dataset": config.dataset, "classes": pool.classes},
        serialization_format="pickle",
    )
    shutil.rmtree(trial / MODEL, ignore_errors=True)
    temporary.rename(trial / MODEL)


if __name__ == "__main__":
    os.nice(19)
    for number, config in json.load(sys.stdin).items():
        _make_model(Path(sys.argv[1]) / number, config)
