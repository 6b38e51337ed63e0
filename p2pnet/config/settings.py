"""The settings of one agent: each one once, with its default, its unit and one sentence.

Everything else that lists settings (`agent.toml.example`, error messages) is made from these models.
"""

import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from p2pnet.config.terms import PENALTY_FORMS, parse_penalty, parse_step_rule
from p2pnet.errors import ConfigError

Task = Literal["regression", "classification"]
LossName = Literal[
    "half-squared", "huber", "log-cosh", "poisson-deviance", "softmax-cross-entropy", "logistic", "squared-hinge"
]
SolverName = Literal["auto", "direct", "cg", "cg-jacobi", "accelerated-proximal-gradient", "proximal-newton"]
ActivationName = Literal["tanh", "relu", "gelu", "softplus", "sigmoid", "identity"]

_ADDRESS = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})")
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
FLOAT32_TOLERANCE = 1e-5
"""Training down to this tolerance or a larger one is not disturbed by shares of single precision."""

_SOME_KEY = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
_WILDCARD_HOSTS = frozenset({"0.0.0.0", "*", "[::]"})  # noqa: S104  (recognised, not bound here)
_LOSSES_OF_TASK: dict[Task, tuple[LossName, ...]] = {
    "regression": ("half-squared", "huber", "log-cosh", "poisson-deviance"),
    "classification": ("softmax-cross-entropy", "logistic", "squared-hinge"),
}


def _split_address(address: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise ValueError('must be an address such as "tcp://192.0.2.7:7070"')
    return match["host"], int(match["port"])


def _check_dialable(address: str) -> str:
    host, port = _split_address(address)
    if host in _WILDCARD_HOSTS or port == 0:
        raise ValueError('must be an address that others can dial, such as "tcp://192.0.2.7:7070"')
    return address


def _check_bind(address: str) -> str:
    if address != "none":
        _split_address(address)
    return address


def _check_public_key(key: str) -> str:
    if len(key) != 40 or not all(_is_z85_word(key[start : start + 5]) for start in range(0, 40, 5)):
        raise ValueError("must be a public key of 40 characters (Z85), as `p2pnet keygen` prints it")
    return key


def _is_z85_word(word: str) -> bool:
    """Whether five characters stand for 32 bits: of the 85⁵ words some stand for more."""
    digits = [_Z85.find(character) for character in word]
    return -1 not in digits and sum(digit * 85**power for power, digit in enumerate(reversed(digits))) < 2**32


def _check_penalty(text: str) -> str:
    parse_penalty(text)
    return text


def _check_step_rule(text: str) -> str:
    parse_step_rule(text)
    return text


def _label_text(label: object) -> object:
    """Labels may be written as whole numbers; they are compared as text."""
    return str(label) if isinstance(label, int) and not isinstance(label, bool) else label


DialAddress = Annotated[str, AfterValidator(_check_dialable)]
BindAddress = Annotated[str, AfterValidator(_check_bind)]
PublicKey = Annotated[str, AfterValidator(_check_public_key)]
Penalty = Annotated[str, AfterValidator(_check_penalty)]
StepRule = Annotated[str, AfterValidator(_check_step_rule)]
Label = Annotated[str, BeforeValidator(_label_text)]
PositiveInt = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A table of agent.toml: no unknown key, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class AgentSettings(Section):
    """Who this agent is and where it keeps its state."""

    name: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=64,
        description="Name shown to people and in logs; default: this machine's host name.",
        examples=["agent-1"],
    )
    state_dir: Path = Field(
        default=Path("state"), description="Directory for the model and all that outlives a restart."
    )


class SeedSettings(Section):
    """An agent that is dialed first, to learn of the network."""

    address: DialAddress = Field(description="Where the agent listens.", examples=["tcp://192.0.2.8:7070"])
    public_key: PublicKey = Field(description="The agent's public key.", examples=[_SOME_KEY])


class NeighborSettings(Section):
    """An agent that this one exchanges shares with."""

    public_key: PublicKey = Field(description="The neighbor's public key.", examples=[_SOME_KEY])
    address: DialAddress | None = Field(default=None, description="Where the neighbor listens; left out, it dials.")
    name: str | None = Field(default=None, description="The neighbor's name, for logs until it has said it itself.")


class NetworkSettings(Section):
    """Where this agent listens, whom it talks to, and how long it waits."""

    bind: BindAddress = Field(
        default="tcp://0.0.0.0:7070", description='Address to listen on, or "none" for an agent that only dials out.'
    )
    advertise: DialAddress | None = Field(
        default=None,
        description="Address that others dial; default: bind, with the host name in place of a wildcard.",
        examples=["tcp://192.0.2.7:7070"],
    )
    neighbors: tuple[NeighborSettings, ...] = Field(
        default=(),
        description="Agents to exchange shares with; one without an address dials this agent.",
        examples=[
            [
                {
                    "name": "agent-2",
                    "address": "tcp://192.0.2.8:7070",
                    "public_key": _SOME_KEY,
                }
            ]
        ],
    )
    seeds: tuple[SeedSettings, ...] = Field(
        default=(),
        description="Agents to begin with where no neighbors are named: all agents then find each other by gossip.",
        examples=[[{"address": "tcp://192.0.2.8:7070", "public_key": _SOME_KEY}]],
    )
    discovery: Literal["none", "mdns"] = Field(
        default="none",
        description="mdns tells the local network this agent's name, key and address, and dials whoever is allowed and "
        "found there; with named neighbors, those without an address only.",
    )
    max_neighbors: PositiveInt = Field(
        default=8,
        description="Most neighbors: beyond it whoever dials is refused, but never one that is named. Where none are "
        "named, an agent looks for half as many, three or more, and keeps their places for them.",
    )
    preset: Literal["lan", "wan", "lossy"] = Field(
        default="lan",
        description="How patient the agent is with its neighbors: one that is silent is taken for gone after "
        "15 s (lan), 30 s (wan) or 60 s (lossy), one whose connection has closed after 1.5, 5 or 15 s.",
    )
    round_timeout_s: float = Field(
        default=10.0,
        ge=0,
        description="Longest wait for the neighbors' shares of a round, in seconds; the wait adapts below it. 0 waits "
        "for nobody.",
    )
    round_pace_s: float = Field(default=0.0, ge=0, description="Least time a round takes, in seconds.")
    start_timeout_s: float = Field(
        default=60.0,
        ge=0,
        description="Longest wait for all neighbors before training starts with those present, in seconds.",
    )
    finish_timeout_s: float = Field(
        default=30.0, ge=0, description="Longest time a finished agent goes on serving its neighbors, in seconds."
    )
    precision: Literal["auto", "float64", "float32"] = Field(
        default="auto",
        description="Numbers on the wire; auto: float32 for algorithm.tolerance >= 1e-5, float64 for more accuracy.",
    )
    max_message_bytes: int = Field(
        default=256 * 2**20,
        ge=4096,
        description="Largest frame accepted from a peer, in bytes; larger ones are refused unread.",
    )
    schedule: Literal["all", "one-peer-exponential", "matching"] = Field(
        default="all",
        description="With whom shares are exchanged in a round: with all neighbors, or with one that changes every "
        "round, where every agent must name all others.",
    )
    schedule_seed: int = Field(default=0, ge=0, description="Seed of the matching schedule, the same at all agents.")
    max_diameter: PositiveInt = Field(
        default=32,
        description="Bound on the hops between any two agents: all must be quiet for that many rounds to stop.",
    )

    def wire_bits(self, tolerance: float) -> int:
        """Bits of a number on the wire, 64 or 32, for training down to this tolerance."""
        is_short = tolerance >= FLOAT32_TOLERANCE if self.precision == "auto" else self.precision == "float32"
        return 32 if is_short else 64

    @property
    def advertised_address(self) -> str | None:
        """The address that others dial, None for an agent that only dials out."""
        if self.bind == "none":
            return None
        if self.advertise is not None:
            return self.advertise
        host, port = _split_address(self.bind)
        return f"tcp://{socket.gethostname()}:{port}" if host in _WILDCARD_HOSTS else self.bind

    @model_validator(mode="after")
    def _keys_are_distinct(self) -> "NetworkSettings":
        for kind, peers in (("neighbors", self.neighbors), ("seeds", self.seeds)):
            keys = [peer.public_key for peer in peers]
            repeated = next((key for key in keys if keys.count(key) > 1), None)
            if repeated is not None:
                raise ValueError(f"{kind} must have different public keys; {repeated} stands there twice")
        if self.bind == "none" and self.discovery == "none" and any(peer.address is None for peer in self.neighbors):
            raise ValueError('every neighbor needs an address where bind = "none", since nobody can dial this agent')
        if self.schedule != "all" and not self.neighbors:
            raise ValueError(f'schedule = "{self.schedule}" needs all other agents of the network among the neighbors')
        return self


class SecuritySettings(Section):
    """Who may talk to this agent."""

    secret_key: Path = Field(default=Path("agent.key"), description="Key file of this agent, made by `p2pnet keygen`.")
    allowed_peers: tuple[PublicKey, ...] = Field(
        default=(),
        description="Public keys that may connect, besides those of neighbors and seeds.",
        examples=[[_SOME_KEY]],
    )


class DataSettings(Section):
    """The samples of this machine; they never leave it."""

    source: Path = Field(
        description="Samples: .csv with a header line, or .npz with X and y.", examples=["samples.csv"]
    )
    target: str | None = Field(
        default=None,
        description="Column to predict; default: the last column of a .csv, y of an .npz.",
        examples=["price"],
    )
    weights: str | None = Field(
        default=None,
        description="Column (in an .npz, array) with the samples' weights in training, 0 or more. Default: all alike.",
        examples=["weight"],
    )
    task: Literal["auto", "regression", "classification"] = Field(
        default="auto",
        description="auto: classification for text and for at most 20 different whole numbers, else regression.",
    )
    classes: tuple[Label, ...] | None = Field(
        default=None,
        min_length=2,
        description="All labels of the network in order, the same everywhere. Default: those found at all agents.",
        examples=[["ham", "spam"]],
    )
    standardize: Literal["network", "local", "none"] = Field(
        default="network",
        description="Subtract the mean of each feature and divide by its deviation, and for regression of the target: "
        "those over the samples of the whole network, found before training, or of this machine's own (local).",
    )
    test_source: Path | None = Field(
        default=None,
        description="Samples to test on, never trained on; default: a part of source.",
        examples=["test.csv"],
    )
    test_fraction: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Part of source kept for the test where there is no test_source, between 0 and 1.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of the split into training and test samples.")

    @field_validator("source", "test_source")
    @classmethod
    def _format_is_known(cls, source: Path | None) -> Path | None:
        if source is not None and source.suffix.lower() not in (".csv", ".npz"):
            raise ValueError("must end in .csv or .npz")
        return source

    @field_validator("classes")
    @classmethod
    def _labels_are_distinct(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if classes is not None and len(set(classes)) < len(classes):
            raise ValueError("must name each label once")
        return classes


class ModelSettings(Section):
    """The neural network; all agents must have the same."""

    hidden: tuple[PositiveInt, ...] = Field(
        default=(32,), description="Width of each hidden layer; [] for a linear model."
    )
    activation: ActivationName = Field(default="tanh", description="Function after each hidden layer.")
    precision: Literal["float64", "float32"] = Field(
        default="float64", description="Numbers that the network is computed with."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the first parameters; the same at all agents saves rounds.")
    factory: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="A model of your own, as package.module:function; all of the above but seed then mean nothing.",
        examples=["mymodels.nets:build"],
    )


class ObjectiveSettings(Section):
    """What is minimised: the mean loss over the samples of all agents, plus a penalty."""

    loss: Literal["auto", LossName] = Field(
        default="auto",
        description="auto: half-squared for regression, softmax-cross-entropy for classification.",
    )
    huber_delta: float = Field(
        default=1.0,
        gt=0,
        description="Residual from which on the huber loss grows linearly, in units of the target as trained on.",
    )
    penalty: Penalty = Field(default="l2:1e-4", description=f"{PENALTY_FORMS}.")
    penalize_biases: bool = Field(default=False, description="Whether the penalty counts biases as well as weights.")

    def loss_for(self, task: Task) -> LossName:
        """The loss to train with; ConfigError where the chosen one does not fit the task."""
        fitting = _LOSSES_OF_TASK[task]
        if self.loss == "auto":
            return fitting[0]
        if self.loss not in fitting:
            raise ConfigError(f"objective.loss = {self.loss} is not for {task}; choose one of {', '.join(fitting)}")
        return self.loss


class AlgorithmSettings(Section):
    """How the objective is minimised."""

    surrogate: Literal["partial", "full"] = Field(
        default="partial",
        description="What is linearised in a local step: the network only (partial) or the loss too (full).",
    )
    curvature_samples: PositiveInt | None = Field(
        default=None,
        description="Most samples that a partial surrogate's curvature is taken from, drawn anew for each local step; "
        "the gradient is always that of all samples. Default: all.",
        examples=[2000],
    )
    weighting: Literal["proxy", "own", "paper"] = Field(
        default="proxy",
        description="What an agent's own curvature counts: as much as the network's (proxy), as its share of the "
        "samples (own), or that divided by the number of agents, which is estimated (paper).",
    )
    step_rule: StepRule = Field(
        default="secant",
        description="secant (adapts the proximal weight, needs no tuning), constant:WEIGHT, or "
        "diminishing:STEP_SIZE:DECAY (proximal_weight, and steps ever shorter).",
    )
    proximal_weight: float = Field(
        default=0.1, gt=0, description="Proximal weight that secant starts from, and that diminishing keeps."
    )
    rounds: PositiveInt = Field(default=1000, description="Most rounds; training ends earlier when it has converged.")
    exchanges: PositiveInt | None = Field(
        default=None,
        description="Rounds to each local step, after the first ten rounds; the others only mix. Default: 2, and 4 "
        "from round 60 on.",
        examples=[2],
    )
    gradient_order: Literal["after-mixing", "before-mixing"] = Field(
        default="after-mixing",
        description="When new gradients enter the network's: taken at the mixed parameters, after an exchange, or at "
        "the local step's, before it.",
    )
    tolerance: float = Field(
        default=4e-3,
        ge=0,
        description="Converged: the residual has fallen to this part of the first, and disagreement is below it too.",
    )
    solver: SolverName = Field(
        default="auto", description="Solver of the local step; auto takes the fastest for its kind."
    )
    solver_iterations: PositiveInt = Field(default=20, description="Most iterations of the solver in a local step.")
    local_step_s: float | None = Field(
        default=None,
        gt=0,
        description="Longest time that a local step's solver may take, in seconds; it then gives what it has, "
        "as it does in any case when neighbors have waited for it for half of a round's deadline. Default: no other "
        "limit.",
        examples=[0.5],
    )
    solver_tolerance: float = Field(
        default=3e-2, ge=0, lt=1, description="The solver stops at this residual, relative to the first one."
    )
    blocks: PositiveInt = Field(
        default=1, description="Parts of whole neurons that a local step is solved in, side by side."
    )
    workers: PositiveInt = Field(
        default=1, description="Threads that share the local step: its blocks if there are several, else the samples."
    )


class LogSettings(Section):
    """What is logged, and where."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    file: Path | None = Field(
        default=None, description="File to append to; default: standard error.", examples=["agent.log"]
    )
    format: Literal["text", "json"] = Field(default="text", description="One line of text or one JSON object an entry.")


class Settings(Section):
    """All settings of an agent, one section of agent.toml each."""

    agent: AgentSettings = Field(default_factory=AgentSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    data: DataSettings
    model: ModelSettings = Field(default_factory=ModelSettings)
    objective: ObjectiveSettings = Field(default_factory=ObjectiveSettings)
    algorithm: AlgorithmSettings = Field(default_factory=AlgorithmSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    def relative_to(self, directory: Path) -> "Settings":
        """The same settings, every relative path taken from `directory`."""
        sections = {}
        for name in type(self).model_fields:
            section = getattr(self, name)
            paths = {key: directory / value for key, value in section if isinstance(value, Path)}
            sections[name] = section.model_copy(update=paths)
        return self.model_copy(update=sections)
