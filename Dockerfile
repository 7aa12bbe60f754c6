# syntax=docker/dockerfile:1
# Images from one pinned set (constraints.txt); tests/charts/test_image.py runs their commands without a container engine:
#   docker build --target fairlead --tag fairlead/fairlead:0.1.0 .     what the charts use: node, catalog, gateway, migrations by argument
#   docker build --target node     --tag fairlead/node:0.1.0 .         the same layers, starts the DICOM node
#   docker build --target catalog  --tag fairlead/catalog:0.1.0 .      the same layers, starts the catalog
#   docker build --target airflow  --tag fairlead/airflow:0.1.0 .      the official Airflow image with our wheel and DAGs
# podman build and buildah build take the same options. Neither image holds settings, keys or data.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.13

# The wheel, with the web assets inside; npm comes from a build requirement and needs the network.
FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /source
COPY constraints.txt ./
RUN pip install --no-cache-dir "$(grep '^uv==' constraints.txt)"
COPY pyproject.toml README.md LICENSE NOTICE hatch_build.py ./
COPY web ./web
COPY configs ./configs
COPY dags ./dags
COPY operators ./operators
RUN uv build --wheel --out-dir /wheels

# A virtual environment with exactly the pinned versions, compiled once: a read-only file system can't cache bytecode later.
FROM wheel AS environment
RUN uv venv /opt/fairlead \
    && uv pip install --python /opt/fairlead/bin/python --constraint constraints.txt --compile-bytecode --no-cache \
        "fairlead[postgres,opensearch,s3,slides,parquet] @ file://$(ls /wheels/fairlead-*.whl)"
# What is inside, for scanners and for people: docker run --rm --entrypoint cat fairlead/fairlead:0.1.0 /opt/fairlead/sbom.cdx.json
COPY tools/sbom.py ./tools/sbom.py
RUN /opt/fairlead/bin/python tools/sbom.py > /opt/fairlead/sbom.cdx.json \
    && /opt/fairlead/bin/python tools/sbom.py --licences > /opt/fairlead/LICENCES.txt

FROM ${PYTHON_IMAGE} AS fairlead
LABEL org.opencontainers.image.title="fairlead" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/fairlead/fairlead"
COPY --from=environment /opt/fairlead /opt/fairlead
# The group is root's and the folder is the group's, so that any user id works (OpenShift).
RUN useradd --uid 10001 --gid 0 --no-create-home --home-dir /var/lib/fairlead fairlead \
    && install --directory --owner 10001 --group 0 --mode 0770 /var/lib/fairlead
ENV PATH=/opt/fairlead/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FAIRLEAD_HOME=/var/lib/fairlead
WORKDIR /var/lib/fairlead
VOLUME /var/lib/fairlead
EXPOSE 11112 8000
USER 10001:0
# `docker stop` sends SIGTERM: the node ends its open associations first.
STOPSIGNAL SIGTERM
ENTRYPOINT ["fairlead"]
CMD ["--help"]

FROM fairlead AS node
CMD ["node"]

FROM fairlead AS catalog
CMD ["catalog"]

FROM ${AIRFLOW_IMAGE} AS airflow
COPY --from=wheel /wheels /wheels
COPY constraints.txt /wheels/constraints.txt
# apache-airflow is named so that pip can't move it; the versions around it are the ones that our tests ran with.
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt \
        "apache-airflow==${AIRFLOW_VERSION}" "fairlead[airflow,postgres,opensearch,s3,slides,parquet] @ file://$(ls /wheels/fairlead-*.whl)"
COPY --chown=airflow:0 dags /opt/airflow/dags
ENV FAIRLEAD_HOME=/var/lib/fairlead
USER 50000:0
