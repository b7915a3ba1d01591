# A collection of films on a cluster of Ray: mien analyze --on ray; the same image for the head and the workers.
#
#   docker build -f deploy/ray.Dockerfile -t mien-ray .
ARG PYTHON=docker.io/library/python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /build
RUN python3 -m venv /opt/mien
COPY deploy/constraints.txt ./
COPY pyproject.toml mkdocs.yml README.md LICENSE NOTICES.md ./
COPY docs/ docs/
COPY src/ src/
RUN /opt/mien/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt '.[ray,s3]' 'ray[default]'

FROM ${PYTHON}
COPY --from=build /opt/mien /opt/mien
RUN useradd --system --uid 10001 --home-dir /var/lib/mien --no-create-home --shell /usr/sbin/nologin mien \
    && install -d -m 0700 -o mien -g mien /var/lib/mien
ENV PATH=/opt/mien/bin:$PATH MIEN_HOME=/var/lib/mien PYTHONUNBUFFERED=1
# No package reports to its makers, also where another program than Mien runs here: mien.silence.
ENV ORT_DISABLE_TELEMETRY=1 WANDB_ERROR_REPORTING=false RAY_USAGE_STATS_ENABLED=0 RAY_USAGE_STATS_REPORT_URL=http://127.0.0.1:9/ HF_HUB_DISABLE_TELEMETRY=1 DO_NOT_TRACK=1 FASTAPI_OTEL_AUTO_CONFIGURE=false
USER 10001
WORKDIR /var/lib/mien
VOLUME /var/lib/mien
# Ray and Kubernetes watch over it themselves.
HEALTHCHECK NONE
ENTRYPOINT ["mien"]
CMD ["analyze", "--help"]
