# One image for MLflow, for every Airflow component and for the preparation of the stores:
# docker-compose.yaml says which command runs where.
FROM python:3.11.15-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/loganalyzer \
    # There is no git here, and MLflow need not say so at each start.
    GIT_PYTHON_REFRESH=quiet

WORKDIR /opt/loganalyzer
COPY pyproject.toml requirements.txt ./

# torch first, and with pip: the rest would otherwise pull the largest build. An index of CPU
# builds, given as TORCH_INDEX, makes the image some gigabytes smaller. The versions stand in
# requirements.txt alone.
ARG TORCH_INDEX
RUN pip install --no-cache-dir --disable-pip-version-check \
    ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' requirements.txt)"
RUN pip install --no-cache-dir --disable-pip-version-check "$(grep '^uv==' requirements.txt)"
RUN uv pip install --system --no-cache --compile-bytecode -r requirements.txt

COPY ml ml
COPY include include
COPY plugins plugins
COPY services services
COPY dags dags
COPY deploy deploy
RUN uv pip install --system --no-cache --no-deps -e .

# A named volume takes over the owner of the folder it is first mounted on.
RUN useradd --uid 10001 --create-home loganalyzer \
    && install -d -o loganalyzer -g loganalyzer \
        /var/lib/loganalyzer /var/lib/loganalyzer/airflow
USER loganalyzer
WORKDIR /var/lib/loganalyzer
CMD ["loganalyzer", "--help"]
