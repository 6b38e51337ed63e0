"""The view as metrics in the format of Prometheus: its conventions, and labels of which there are few."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from p2pnet.page.feed import View

STAGES: Final = ("waiting", "training", "ended")
_OTHER_STAGE: Final = "other"
"""A report of another agent may say what it likes."""
MAX_LINKS: Final = 64

_GAUGES: Final[Mapping[str, tuple[str, str]]] = {
    "round": ("round", "Round of the training."),
    "epoch": ("epoch", "How often samples have changed since training first finished."),
    "objective": ("objective", "Mean loss over the agent's own samples, plus the penalty."),
    "test_metric": ("test_metric", "Accuracy, or R squared, on the agent's own test samples."),
    "relative_residual": ("residual", "Residual of the last local step, relative to the largest of the first round."),
    "disagreement": ("disagreement", "Relative distance of the parameters from those of the neighbors."),
    "neighbors": ("neighbors", "Neighbors that the agent is linked with."),
    "members": ("members", "Living members of the network that the agent knows, where it finds them itself."),
    "start_time_seconds": ("started_at_s", "When the agent was started, in seconds since the epoch of Unix."),
}
_COUNTERS: Final[Mapping[str, tuple[str, str]]] = {
    "sent_bytes": ("bytes_sent", "Bytes sent to other agents."),
    "received_bytes": ("bytes_received", "Bytes received from other agents."),
    "processor_seconds": ("processor_s", "Processor time of the agent's process."),
}


@final
class AgentCollector(Collector):
    """Makes metrics of the view at the moment at which they are asked for."""

    def __init__(self, look: Callable[[], View]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        view = self._look()
        yield _gauge("up", "Whether the agent answers at its control socket.", float(view.is_running))
        if view.status is not None and view.is_running:
            yield from _of_status(view.status)
            yield from _of_links(view.links)
            yield from _of_network(view.agents)

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: the agent need not run when the page is started."""
        return iter(())


def exposition(look: Callable[[], View], accept: str) -> tuple[bytes, str]:
    """The metrics as bytes, and their content type, in the form that the reader accepts."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AgentCollector(look))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _of_status(status: Mapping[str, Any]) -> Iterator[Metric]:
    info = GaugeMetricFamily("p2pnet_agent_info", "The agent, always 1.", labels=["agent", "public_key", "version"])
    info.add_metric([status["agent"], status["public_key"], status["software"]], 1.0)
    yield info
    stage = GaugeMetricFamily("p2pnet_agent_stage", "1 for the stage that the agent is in.", labels=["stage"])
    for name in STAGES:
        stage.add_metric([name], float(status["stage"] == name))
    yield stage
    for name, (key, text) in _GAUGES.items():
        value = status[key]
        yield _gauge(f"agent_{name}", text, math.nan if value is None else value)
    yield _gauge("agent_peak_memory_bytes", "Most memory of the agent's process so far.", status["peak_rss_mb"] * 2**20)
    for name, (key, text) in _COUNTERS.items():
        yield CounterMetricFamily(f"p2pnet_agent_{name}", text, value=status[key])


def _of_links(links: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    labels = ["peer", "public_key"]
    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
        "up": GaugeMetricFamily("p2pnet_link_up", "Whether the neighbor is linked and keeps up.", labels=labels),
        "bytes_sent": CounterMetricFamily("p2pnet_link_sent_bytes", "Bytes sent to the neighbor.", labels=labels),
        "bytes_received": CounterMetricFamily(
            "p2pnet_link_received_bytes", "Bytes received from the neighbor.", labels=labels
        ),
    }
    for link in links[:MAX_LINKS]:
        values = {**link, "up": float(link["state"] == "linked")}
        for key, family in families.items():
            family.add_metric([link["name"], link["public_key"]], values[key])
    yield from families.values()


def _of_network(agents: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    family = GaugeMetricFamily("p2pnet_network_agents", "Agents of the network heard of.", labels=["stage"])
    stages = [agent["stage"] if agent["stage"] in STAGES else _OTHER_STAGE for agent in agents]
    for name in (*STAGES, _OTHER_STAGE):
        family.add_metric([name], float(stages.count(name)))
    yield family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"p2pnet_{name}", text, value=value)
