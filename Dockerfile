# The harness in a container: a virtual environment built in one stage, copied into a slim one that is not root.
#   docker build -t soft-label-harness .
#   docker run --shm-size 4g -v "$PWD/runs:/work/runs" soft-label-harness --space label_lr.yaml
# A node of a Ray cluster, MLflow's server and a driver are all this image: see deploy/.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/harness
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY harness harness
COPY analysis analysis
# torch comes with CUDA, and computes on a CPU too. For an image some 4 GB smaller, without CUDA, name the index of
# PyTorch's CPU builds (pytorch.org says where it is).
ARG TORCH_INDEX=
RUN PIP_EXTRA_INDEX_URL=${TORCH_INDEX} \
    /opt/harness/bin/pip install --no-cache-dir --constraint constraints.txt '.[cluster,postgres]'

FROM ${BASE_IMAGE}
# wget: KubeRay asks nodes with it whether they live. The profile: it starts them in a login shell, which sets PATH anew.
RUN apt-get update \
 && apt-get install -y --no-install-recommends git python3 wget \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 harness \
 && echo 'export PATH=/opt/harness/bin:$PATH' > /etc/profile.d/harness.sh
COPY --from=build /opt/harness /opt/harness
WORKDIR /work
COPY search_spaces search_spaces
RUN mkdir runs && chown harness . runs
USER harness
ENV PATH=/opt/harness/bin:$PATH PYTHONUNBUFFERED=1
ENTRYPOINT ["python", "-m", "harness.search"]
CMD ["--help"]
