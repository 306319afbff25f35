"""Weights that trials left, as models that MLflow can load: `mlflow.pytorch.load_model("runs:/RUN/model")`.

    driver ──configurations──▶ a process of its own ──▶ trials/N/model/ ──spool──▶ the trial's run

A model takes images as the data set has them (float32, channels first) and gives logits. It is pickled as a module of
this package, so whoever loads it has the harness installed. Torch and MLflow take seconds to import and may fail; the
driver does not do that itself, and a model that cannot be made costs the sweep nothing but a word.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import harness

WEIGHTS = "model.pt"
MODEL = "model"
PATIENCE = 600.0  # seconds for all models together
EXAMPLES = 2  # images in the input example


def make(trials: Path, configs: Mapping[int, Mapping[str, Any]]) -> str:
    """Makes `trials/N/model` of the weights of each trial N, whose settings `configs` holds; what went wrong, or ''."""
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(Path(harness.__file__).parent.parent), os.environ.get("PYTHONPATH")])
        ),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness.tracking.mlflow_view.logged_models", str(trials)],
            input=json.dumps({str(number): dict(config) for number, config in configs.items()}),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment,
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else lines[-1] if lines else f"exit code {done.returncode}"


def main() -> int:
    """Reads the configurations by trial from standard input."""
    trials = Path(sys.argv[1])
    os.nice(19)
    for number, config in json.load(sys.stdin).items():
        _make(trials / number, config)
    return 0


def _make(trial: Path, settings: dict[str, Any]) -> None:
    import mlflow.pytorch
    import torch
    from mlflow.models import infer_signature

    from harness.training.acceleration import arranged
    from harness.training.config.run_config import RunConfig
    from harness.training.data import load_pool
    from harness.training.models import build
    from harness.training.models.raw_pixels import OfRawPixels

    config = RunConfig(**settings)
    pool = load_pool(config)
    network = arranged(build(config.model, pool.shape, pool.classes, config.width), config)
    network.load_state_dict(torch.load(trial / WEIGHTS, map_location="cpu", weights_only=True))
    model = OfRawPixels(network, pool.pixels.mean.clone(), pool.pixels.std.clone()).eval()
    images = pool.pixels.stored[pool.index[:EXAMPLES]].float()
    with torch.no_grad():
        logits = model(images)
    fresh = trial / f".{MODEL}.{os.getpid()}"
    mlflow.pytorch.save_model(
        model,
        str(fresh),
        signature=infer_signature(images.numpy(), logits.numpy()),
        input_example=images.numpy(),
        # Told, not inferred: that would load the model once more, and take a minute.
        pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", "soft-label-harness"],
        metadata={"method": config.method, "dataset": config.dataset, "classes": pool.classes},
        serialization_format="pickle",
    )
    shutil.rmtree(trial / MODEL, ignore_errors=True)
    fresh.rename(trial / MODEL)


if __name__ == "__main__":
    sys.exit(main())
