# The harness in a container: a virtual environment built in one stage, copied into a slim one that is not root.
#   docker build -t soft-label-harness .
#   docker run -v "$PWD/runs:/work/runs" soft-label-harness --space label_lr.yaml
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
RUN /opt/harness/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM ${BASE_IMAGE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 git \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 harness
COPY --from=build /opt/harness /opt/harness
WORKDIR /work
COPY search_spaces search_spaces
RUN chown harness /work
USER harness
ENV PATH=/opt/harness/bin:$PATH PYTHONUNBUFFERED=1
ENTRYPOINT ["python", "-m", "harness.search"]
CMD ["--help"]
