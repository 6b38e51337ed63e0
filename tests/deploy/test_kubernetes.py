"""The manifests keep Kubernetes' schemas, and say of p2pnet what is so."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from p2pnet.agent.transport.keys import generate_keys
from p2pnet.cli.join import join
from p2pnet.config import read_settings

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes" / "base"
RESOURCES: list[str] = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]


def manifest(name: str) -> Any:
    return yaml.safe_load((KUBERNETES / name).read_text())


def container() -> Any:
    return manifest("statefulset.yaml")["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("name", RESOURCES)
def test_each_manifest_keeps_its_schema(name: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    validator.validate(manifest(name), validator.latest_version(), strict=True)


def test_every_file_belongs_to_the_base() -> None:
    assert {path.name for path in KUBERNETES.iterdir()} == {*RESOURCES, "kustomization.yaml", "agent.toml"}


def test_the_pods_settings_can_be_read_once_their_keys_stand_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (KUBERNETES / "agent.toml").read_text()
    (tmp_path / "agent.toml").write_text(re.sub("<the key of [^>]+>", lambda _: generate_keys().public, text))
    for variable in container()["env"][1:]:
        monkeypatch.setenv(variable["name"], variable["value"].replace("$(POD_NAME)", "p2pnet-2"))
    settings = read_settings(tmp_path / "agent.toml", [])

    assert settings.agent.name == "p2pnet-2"
    assert settings.network.advertise == "tcp://p2pnet-2.p2pnet:7070"
    assert str(settings.security.secret_key) == "/keys/p2pnet-2.key"
    assert settings.service.keep_running


def test_ports_are_the_same_everywhere() -> None:
    bind = tomllib.loads((KUBERNETES / "agent.toml").read_text())["network"]["bind"]
    policy = manifest("networkpolicy.yaml")["spec"]
    ports = {
        int(bind.rpartition(":")[2]),
        container()["ports"][0]["containerPort"],
        manifest("service.yaml")["spec"]["ports"][0]["port"],
        policy["ingress"][0]["ports"][0]["port"],
        policy["egress"][0]["ports"][0]["port"],
    }
    assert ports == {7070}


def test_pods_keep_the_restricted_standard() -> None:
    pod = manifest("statefulset.yaml")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_new_pod_joins_by_its_own_invitation_and_an_old_one_needs_none(tmp_path: Path) -> None:
    """The script of the pod, with directories of this test for its volumes and a p2pnet that says how it was called."""
    patch = yaml.safe_load((KUBERNETES.parent / "joining" / "statefulset.yaml").read_text())
    (pod,) = patch["spec"]["template"]["spec"]["initContainers"]
    shell, flags, script = pod["command"]
    for volume in ("/state", "/data", "/invitations"):
        (tmp_path / volume[1:]).mkdir()
        script = re.sub(rf"(?<![\w.]){volume}\b", str(tmp_path / volume[1:]), script)
    (tmp_path / "invitations" / "p2pnet-3").write_text("invite0line")
    program = tmp_path / "bin" / "p2pnet"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\ncat\necho joined > agent.toml\n')
    program.chmod(0o755)
    environment = {"PATH": f"{program.parent}:/usr/bin:/bin", "POD_NAME": "p2pnet-3"}

    def start() -> str:
        command = [shell, flags, script]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert start() == (
        f"join - --name p2pnet-3 --data {tmp_path}/data/samples.csv --bind tcp://0.0.0.0:7070 "
        "--address tcp://p2pnet-3.p2pnet:7070\ninvite0line"
    )
    assert (tmp_path / "state" / "agent" / "agent.toml").read_text() == "joined\n"
    (tmp_path / "invitations" / "p2pnet-3").unlink()
    assert start() == ""


def test_what_is_called_by_the_pod_are_options_of_join() -> None:
    known = {option for parameter in join.params for option in parameter.opts}
    script = (KUBERNETES.parent / "joining" / "statefulset.yaml").read_text()
    assert set(re.findall(r"--[a-z]+(?= )", script)) <= known


@pytest.mark.parametrize("directory", ["base", "joining"])
def test_kustomize_builds_valid_manifests(directory: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    built = subprocess.run([kubectl, "kustomize", KUBERNETES.parent / directory], capture_output=True, check=True)
    manifests = list(yaml.safe_load_all(built.stdout))
    for one in manifests:
        validator.validate(one, validator.latest_version(), strict=True)
    (pods,) = (one["spec"]["template"]["spec"] for one in manifests if one["kind"] == "StatefulSet")
    volumes = {volume["name"] for volume in pods["volumes"]} | {"state", "data"}
    for part in (*pods["containers"], *pods.get("initContainers", [])):
        assert part["image"] == "registry.example.org/p2pnet:0.2.0"
        assert {mount["name"] for mount in part["volumeMounts"]} <= volumes
