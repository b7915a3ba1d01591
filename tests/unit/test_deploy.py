"""What deploy/ offers: containers, units and secrets fit Mien as it is."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer.main
import yaml
from click import Context
from packaging.requirements import Requirement

from mien.cli.app import app
from mien.config import Settings, fields, load
from mien.silence import SILENT, UNASKED
from programs import program

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROLES = {"edge": "watch", "forward": "forward", "dashboard": "dashboard", "train": "train", "ray": "analyze"}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VARIABLES = {"MIEN_" + name.upper().replace(".", "__") for name, _ in fields()} | {"MIEN_CONFIG"}
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
RAY = list(yaml.safe_load_all((DEPLOY / "kubernetes-ray.yaml").read_text(encoding="utf-8")))
PODS = {
    kubernete["metadata"]["name"]: kubernete["spec"]["template"]["spec"]
    for kubernete in KUBERNETES
    if kubernete["kind"] == "Deployment"
}
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def check_command(words: list[str]) -> None:
    """Fail unless this is a command of `mien` with options that it has."""
    command: Any = typer.main.get_command(app)
    command.commands[words[0]].make_context(words[0], words[1:], parent=Context(command, info_name="mien"))


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as deploy/make_secrets.py makes it."""
    program("openssl")
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    subprocess.run([sys.executable, DEPLOY / "make_secrets.py", folder], check=True, timeout=60)
    return folder


class Dockerfile:
    """The instructions of a Dockerfile, a list of words each, those of RUN and of JSON forms whole."""

    def __init__(self, path: Path) -> None:
        text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
        self.lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]

    def all(self, instruction: str) -> Iterator[str]:
        return (rest for name, rest in self.lines if name == instruction)

    def last(self, instruction: str) -> str:
        return list(self.all(instruction))[-1]


@pytest.mark.parametrize("file", [*UNITS, *sorted(DEPLOY.glob("*.Dockerfile"))], ids=lambda file: file.name)
def test_no_package_reports_to_its_makers_from_an_image_or_unit(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    words = {word for line in re.findall(r"(?m)^(?:ENV |Environment=)(.*)$", text) for word in line.split()}
    assert {f"{name}={value}" for name, value in {**SILENT, **UNASKED}.items()} <= words


@pytest.mark.parametrize("role", ROLES)
def test_an_image_has_what_its_role_needs_and_runs_as_nobody(role: str) -> None:
    image = Dockerfile(DEPLOY / f"{role}.Dockerfile")
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for copied in image.all("COPY"):
        if not copied.startswith("--from="):
            for source in copied.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source.rstrip('/')}" in allowed, f"{source} is kept out by .dockerignore"
    installed = re.findall(r"pip install .*'\.\[([a-z0-9,]+)\]'", " ".join(image.all("RUN")))
    assert set(installed[0].split(",")) <= set(PROJECT["optional-dependencies"])
    assert "--constraint constraints.txt" in " ".join(image.all("RUN"))
    assert all("slim" in line for line in image.all("ARG")), "a slim base"
    assert int(image.last("USER")) >= 1000, "not root"
    assert image.lines.index(["USER", image.last("USER")]) > max(
        at for at, line in enumerate(image.lines) if line[0] in ("RUN", "COPY")
    )
    assert len(list(image.all("HEALTHCHECK"))) == 1
    assert json.loads(image.last("ENTRYPOINT")) == ["mien"]
    words = json.loads(image.last("CMD"))
    assert words[0] == ROLES[role]
    if words[1:] != ["--help"]:
        check_command(words)
    for given in image.all("ENV"):
        for variable in re.findall(r"(MIEN_\w+)=", given):
            assert variable in VARIABLES
        assert "PASSWORD" not in given


def test_nothing_but_the_source_goes_into_an_image() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {"!src", "!deploy/constraints.txt"} < set(lines)
    assert not [line for line in lines if "secrets" in line or line in ("!.git", "!deploy")]


def test_the_pinned_versions_are_those_that_the_project_asks_for() -> None:
    lines = (DEPLOY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned: dict[str, list[str]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            one = Requirement(line)
            pinned.setdefault(_plain(one.name), []).append(str(one.specifier).removeprefix("=="))
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(line for name in _installed_extras() for line in extras[name])]
    for asked in map(Requirement, wanted):
        if asked.name != "mien":
            versions = pinned[_plain(asked.name)]
            assert all(asked.specifier.contains(version) for version in versions), asked


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed_extras() -> set[str]:
    texts = [(DEPLOY / f"{role}.Dockerfile").read_text(encoding="utf-8") for role in ROLES]
    return {extra for text in texts for found in re.findall(r"'\.\[(.*?)\]'", text) for extra in found.split(",")}


def test_compose_starts_commands_that_there_are() -> None:
    assert set(OURS) == {"watch", "forward", "dashboard"}
    for service in OURS.values():
        words = [word.replace("${SOURCE:-demo}", "demo") for word in service["command"]]
        check_command(words)
        assert (DEPLOY / service["build"]["dockerfile"].removeprefix("deploy/")).exists()
        assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
        assert set(service["environment"]) <= VARIABLES
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]


def test_compose_opens_ports_to_this_machine_alone_and_has_no_password_in_it() -> None:
    for name, service in COMPOSE["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert "privileged" not in service
        assert "network_mode" not in service
        for variable, value in service.get("environment", {}).items():
            assert "PASSWORD" not in variable or value.startswith("/run/secrets/")


def test_all_that_compose_names_is_there(secrets: Path) -> None:
    for told in COMPOSE["secrets"].values():
        assert (secrets / Path(told["file"]).name).is_file()
    for service in COMPOSE["services"].values():
        for secret in service.get("secrets", []):
            assert (secret if isinstance(secret, str) else secret["source"]) in COMPOSE["secrets"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"]
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", [])) <= set(COMPOSE["services"])
        for value in service.get("environment", {}).values():
            if value.startswith("/run/secrets/"):
                assert Path(value).name in service["secrets"]


def test_compose_is_what_docker_reads() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    done = subprocess.run(
        [docker, "compose", "-f", DEPLOY / "compose.yaml", "config", "--quiet"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_secrets_are_the_owners_and_each_role_reads_its_own(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert not (secrets / "ca.key").exists(), "nobody needs the authority's key any more"
    users = {}
    for role in OURS:
        environment = OURS[role]["environment"]
        for variable in environment:
            monkeypatch.setenv(variable, str(environment[variable]))
        settings: Settings = load(file=secrets / f"{role}.toml")
        assert settings.broker.password is not None
        users[settings.broker.username] = settings.broker.password.get_secret_value()
        assert settings.broker.host == "broker"
        if role != "watch":
            assert settings.store_url == f"postgresql://mien:{(secrets / 'postgres').read_text()}@database/mien"
    assert users.keys() == {"lobby", "forwarder", "reader"}
    assert len(set(users.values())) == 3
    assert "--name lobby" in " ".join(OURS["watch"]["command"]), "a source's user bears its name"


def test_secrets_in_use_are_not_overwritten(secrets: Path) -> None:
    before = (secrets / "passwords").read_bytes()
    done = subprocess.run(
        [sys.executable, DEPLOY / "make_secrets.py", secrets], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "already there" in done.stderr
    assert done.stderr.count("\n") == 1
    assert (secrets / "passwords").read_bytes() == before


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("resource", KUBERNETES, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_kubernetes_knows_every_field(resource: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_a_command_that_there_is_and_may_do_nothing_else(name: str) -> None:
    pod = PODS[name]
    image = Dockerfile(DEPLOY / f"{name}.Dockerfile")
    assert pod["securityContext"]["runAsNonRoot"]
    assert str(pod["securityContext"]["runAsUser"]) == image.last("USER")
    assert pod["automountServiceAccountToken"] is False
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["image"] == f"mien-{name}"
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"]
        assert (locked["allowPrivilegeEscalation"], locked["capabilities"]) == (False, {"drop": ["ALL"]})
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert "/var/lib/mien" in {mount["mountPath"] for mount in container["volumeMounts"]}
    (container,) = pod["containers"]
    check_command(container["args"])
    assert {one["name"] for one in container["env"]} <= VARIABLES
    assert {"readinessProbe", "livenessProbe"} <= set(container)


def test_pods_get_their_secrets_by_name_and_the_page_says_how_each_is_made() -> None:
    page = (ROOT / "docs/deploy/kubernetes.md").read_text(encoding="utf-8")
    for pod in PODS.values():
        (secret,) = (volume["secret"] for volume in pod["volumes"] if "secret" in volume)
        files = {item["path"] for item in secret["items"]}
        assert f"create secret generic {secret['secretName']} " in page
        assert all(f"secrets/{name}" in page for name in files)
        values = [one["value"] for container in pod["containers"] for one in container["env"]]
        assert all(value.removeprefix("/run/mien/") in files for value in values if "/" in value)
        assert all("key" in item and "value" not in item for item in secret["items"])


def test_a_job_on_ray_runs_a_command_that_there_is_in_pods_that_may_do_nothing_else() -> None:
    job, policy = RAY
    assert (job["apiVersion"], job["kind"], policy["kind"]) == ("ray.io/v1", "RayJob", "NetworkPolicy")
    words = job["spec"]["entrypoint"].split()
    assert words[0] == "mien"
    check_command(words[1:])
    cluster = job["spec"]["rayClusterSpec"]
    pinned = re.findall(r"(?m)^ray==(\S+)", (DEPLOY / "constraints.txt").read_text(encoding="utf-8"))
    assert set(pinned) == {cluster["rayVersion"]}
    templates = [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]
    for template in templates:
        for version in ("1.30", "1.37"):
            pod = {"apiVersion": "v1", "kind": "Pod", **template}
            kubernetes_validate.validate(pod, version, strict=True)
            kubernetes_validate.validate(policy, version, strict=True)
        assert template["metadata"]["labels"] == policy["spec"]["podSelector"]["matchLabels"]
        pod = template["spec"]
        assert str(pod["securityContext"]["runAsUser"]) == Dockerfile(DEPLOY / "ray.Dockerfile").last("USER")
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["image"] == "mien-ray"
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        (secret,) = (given["secretRef"]["name"] for given in container["envFrom"])
        page = (ROOT / "docs/deploy/kubernetes.md").read_text(encoding="utf-8")
        assert f"create secret generic {secret} " in page


def test_nobody_outside_the_cluster_reaches_the_service() -> None:
    (service,) = (kubernete for kubernete in KUBERNETES if kubernete["kind"] == "Service")
    assert service["spec"]["type"] == "ClusterIP"
    (target,) = (
        kubernete
        for kubernete in KUBERNETES
        if kubernete["kind"] == "Deployment"
        and kubernete["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
    )
    ports = {one["name"] for container in PODS[target["metadata"]["name"]]["containers"] for one in container["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_in_a_room_of_its_own(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    words = re.findall(r"^ExecStart=/opt/mien/bin/mien (.+)$", text, re.MULTILINE)
    check_command(words[0].split())
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=mien", "Restart=on-failure"):
        assert f"\n{line}\n" in text
    for other in re.findall(r"mien-\w+\.service", text):
        assert (unit.parent / other).exists()


def test_systemd_accepts_the_units_and_finds_them_guarded(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    copies = []
    for unit in UNITS:
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(unit.read_text().replace("/opt/mien/bin/mien", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", *copies], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    weak = ["--offline=yes", "--threshold=25", "--no-pager"]  # of 100; without any guarding 96
    done = subprocess.run(["systemd-analyze", "security", *weak, *copies], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_units_settings_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in re.findall(r"^#?(MIEN_\w+)=(.*)$", (DEPLOY / "systemd/mien.env").read_text(), re.MULTILINE):
        monkeypatch.setenv(variable, value)
    settings = load(file=DEPLOY / "systemd/mien.toml")
    assert [one.name for one in settings.source] == ["door"]
    assert settings.broker.host == "broker.example.org"
