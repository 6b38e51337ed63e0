"""The manifests keep Kubernetes' schemas, and say of p2pnet what is so."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from p2pnet.agent.transport.keys import generate_keys
from p2pnet.config import read_settings

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
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
