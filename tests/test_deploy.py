"""deploy/ and docs/cluster.md without a cloud: files by their schemas, and every command by its own parser."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import ROOT, run

DEPLOY = ROOT / "deploy"


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return content


def searches() -> Iterator[tuple[str, list[str]]]:
    """Every `harness.search` of the folder and of its page with its arguments, and where it stands."""
    for file in [*sorted(DEPLOY.iterdir()), ROOT / "docs" / "cluster.md"]:
        text = re.sub(r"\n +(?=--)", " ", file.read_text())  # folded lines
        for words in re.findall(r"python -m harness\.search (--space [^'\n]+)", text):
            yield file.name, shlex.split(words)


@pytest.mark.slow
def test_every_search_that_is_shown_can_be_typed(tmp_path: Path) -> None:
    shown = list(searches())
    assert {"rayjob.yaml", "ray-cluster.yaml", "cluster.md"} <= {place for place, _ in shown}
    for arguments in {tuple(arguments) for _, arguments in shown}:
        words = [word for word in arguments if word not in ("--address", "auto")]  # there is no cluster here
        words = [str(tmp_path) if word == "/runs" or word.startswith("s3:") else word for word in words]
        result = run("harness.search", *words, "--set", "search.resources.gpu=0", "--dry-run")
        assert result.code == 0, result.all


def test_the_cluster_is_one_by_rays_own_schema() -> None:
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    cluster = manifest("ray-cluster.yaml")
    jsonschema.validate(cluster, schema)
    assert cluster["head_node_type"] in cluster["available_node_types"]


def groups() -> list[dict[str, Any]]:
    """The head of the RayJob's cluster, and its kinds of workers."""
    cluster = manifest("rayjob.yaml")["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_the_job_is_one_by_the_types_of_kuberay_and_its_pods_by_those_of_kubernetes() -> None:
    import kubernetes_validate

    schema = yaml.safe_load((ROOT / "tests" / "support" / "rayjob.schema.yaml").read_text())
    job = manifest("rayjob.yaml")
    jsonschema.validate(job, schema)
    with pytest.raises(jsonschema.ValidationError, match="entryPoint"):
        jsonschema.validate({**job, "spec": {**job["spec"], "entryPoint": "a slip"}}, schema)
    for group in groups():
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": group["template"]}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        slip = {**pod, "template": {"spec": {**group["template"]["spec"], "toleration": []}}}
        with pytest.raises(kubernetes_validate.ValidationError, match="toleration"):
            kubernetes_validate.validate(slip, kubernetes_validate.latest_version(), strict=True)


def test_the_nodes_of_the_job_share_image_and_runs() -> None:
    spec = manifest("rayjob.yaml")["spec"]
    cluster = spec["rayClusterSpec"]
    pods = [group["template"]["spec"] for group in groups()]
    containers = [container for pod in pods for container in pod["containers"]]
    assert len({container["image"] for container in containers}) == 1
    folder = re.search(r"--runs-dir (\S+)", spec["entrypoint"])
    assert folder is not None
    for pod, container in zip(pods, containers, strict=True):
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert mounts[folder[1]] in {volume["name"] for volume in pod["volumes"]}
    assert cluster["enableInTreeAutoscaling"] is True
    assert all(group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] for group in groups()[1:])


def test_the_version_of_ray_is_that_of_the_image() -> None:
    pinned = re.search(r"^ray==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert manifest("rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"] == pinned[1]


@pytest.mark.slow
def test_mlflows_server_takes_every_option_it_is_given() -> None:
    server = manifest("compose.yaml")["services"]["mlflow"]
    assert server["entrypoint"] == ["python", "-m", "mlflow", "server"]
    result = run("mlflow", "server", *server["command"], "--help")
    assert result.code == 0, result.all
    unknown = run("mlflow", "server", *server["command"], "--no-such-option", "--help")
    assert unknown.code != 0, "else the line above shows nothing"


@pytest.mark.parametrize("service", ["database", "mlflow", "search"])
def test_nothing_listens_beyond_this_machine(service: str) -> None:
    for port in manifest("compose.yaml")["services"][service].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_the_image_gets_what_it_copies() -> None:
    """`.dockerignore` keeps everything out but what it names."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for words in re.findall(r"^COPY (?!--from)(.+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        for word in words.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
