"""Metrics: as Prometheus reads them, with few labels, and all that the dashboard asks for."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from p2pnet.page.feed import AgentFeed, View
from p2pnet.page.metrics import MAX_LINKS, STAGES, exposition
from tests.page.agents import PEERS, ScriptedAgent

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "p2pnet.json"


def view(agent: ScriptedAgent) -> View:
    return AgentFeed(agent.connect, lambda: 0.0, lambda: 0.0).look()


def metrics(view: View) -> dict[str, Metric]:
    content, content_type = exposition(lambda: view, "text/plain")
    assert content_type.startswith("text/plain")
    return {family.name: family for family in text_string_to_metric_families(content.decode())}


def value(families: Mapping[str, Metric], name: str, **labels: str) -> float:
    (found,) = [
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return float(found)


def test_what_the_agent_says_of_itself() -> None:
    found = metrics(view(ScriptedAgent()))
    assert value(found, "p2pnet_up") == 1.0
    assert value(found, "p2pnet_agent_round") == 2.0
    assert value(found, "p2pnet_agent_sent_bytes_total") == 3e6
    assert value(found, "p2pnet_agent_peak_memory_bytes") == 64 * 2**20
    assert value(found, "p2pnet_agent_info", agent="agent-1", version="9.9", public_key=PEERS[0]) == 1.0
    assert value(found, "p2pnet_agent_stage", stage="training") == 1.0
    assert value(found, "p2pnet_agent_stage", stage="ended") == 0.0
    assert value(found, "p2pnet_link_received_bytes_total", peer="agent-2") == 2e6
    assert value(found, "p2pnet_link_up", public_key=PEERS[1]) == 1.0
    assert value(found, "p2pnet_network_agents", stage="training") == 2.0


def test_names_and_units_are_as_prometheus_has_them() -> None:
    for name, family in metrics(view(ScriptedAgent())).items():
        assert re.fullmatch(r"p2pnet_[a-z_]+", name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(s|mb|ms|kb)$", name), f"{name}: units are seconds and bytes"
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")


def test_what_is_not_known_is_not_a_number() -> None:
    found = metrics(view(ScriptedAgent()))
    assert str(value(found, "p2pnet_agent_test_metric")) == "nan"


def test_of_an_agent_that_is_gone_only_that_is_told() -> None:
    agent = ScriptedAgent()
    agent.is_there = False
    found = metrics(view(agent))
    assert found.keys() == {"p2pnet_up"}
    assert value(found, "p2pnet_up") == 0.0


def test_others_cannot_make_labels() -> None:
    known = view(ScriptedAgent())
    reports = [{**known.agents[0], "stage": f"stage {k}"} for k in range(500)]
    links = [{**known.links[0], "public_key": f"key {k}"} for k in range(500)]
    found = metrics(View(is_running=True, status=known.status, agents=reports, links=links))
    assert {sample.labels["stage"] for sample in found["p2pnet_network_agents"].samples} == {*STAGES, "other"}
    assert value(found, "p2pnet_network_agents", stage="other") == 500.0
    assert len(found["p2pnet_link_up"].samples) == MAX_LINKS


def test_the_reader_may_ask_for_the_newer_format() -> None:
    content, content_type = exposition(lambda: view(ScriptedAgent()), "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert content.endswith(b"# EOF\n")


def expressions(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node[key] for key in ("expr", "definition") if isinstance(node.get(key), str)]
        return own + [found for child in node.values() for found in expressions(child)]
    return [found for child in node for found in expressions(child)] if isinstance(node, list) else []


def test_the_dashboard_asks_for_metrics_that_there_are_and_for_each_of_them() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    samples = {sample.name for family in metrics(view(ScriptedAgent())).values() for sample in family.samples}
    asked = {name for text in expressions(dashboard) for name in re.findall(r"\bp2pnet_\w+", text)}
    assert asked == samples


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= dashboard.keys()
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["description"].endswith(".")
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, f"{panel['title']} lies on another"
        places |= cells
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    asked = {name for text in expressions(panels) for name in re.findall(r"\$(\w+)", text)}
    assert {name for name in asked if not name.startswith("__")} <= variables
