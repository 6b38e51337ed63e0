"""The sections [data], [model], [objective] and [algorithm]: what is trained on what, and how."""

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, field_validator, model_validator

from p2pnet.catalogue.losses import Task, loss_for, losses_for
from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.readers import has_reader, is_function, suffixes
from p2pnet.config.choices import (
    ActivationName,
    LossChoice,
    LossName,
    PenaltyText,
    SolverChoice,
    StepRuleText,
    SurrogateName,
)
from p2pnet.config.section import PositiveInt, Section
from p2pnet.errors import ConfigError


def _label_text(label: object) -> object:
    """Labels may be written as whole numbers or truth values; they are compared as text."""
    if isinstance(label, str):
        return unicodedata.normalize("NFC", label.strip())
    return str(label).lower() if isinstance(label, int) else label


def _class_weights(weights: object) -> object:
    if isinstance(weights, dict) or weights == "balanced":
        return weights
    raise ValueError("must be balanced, or a table of weights by label, as in { ill = 5 }")


ClassWeight = Annotated[float, Field(gt=0)]


class SplitSettings(Section):
    """Which rows are trained on; the network's metrics are those of all others."""

    train: float | None = Field(default=None, gt=0, lt=1, description="Fraction to train on; default: what remains.")
    validation: float = Field(default=0.0, ge=0, lt=1, description="Fraction to choose settings and parameters by.")
    test: float = Field(default=0.0, ge=0, lt=1, description="Fraction that nothing is chosen by.")
    column: str | None = Field(default=None, description="Column that says train, validation or test instead.")
    time: str | None = Field(default=None, description="Column of dates or numbers; the newest rows are the test's.")

    @model_validator(mode="after")
    def _is_whole(self) -> "SplitSettings":
        held_out = self.validation + self.test
        if self.column is not None:
            if self.time is not None or held_out or self.train is not None:
                raise ValueError("column says all of a split: leave out time and the fractions")
            return self
        if not 0 < held_out < 1:
            raise ValueError("validation and test must be more than 0 and less than 1 together")
        if self.train is not None and abs(self.train + held_out - 1) > 1e-9:
            raise ValueError(f"train, validation and test must be 1 together, and are {self.train + held_out:g}")
        return self


MissingRule: TypeAlias = Literal["refuse", "drop", "mean", "indicator"]

Label = Annotated[str, BeforeValidator(_label_text)]
ClassWeights = Annotated[dict[Label, ClassWeight] | Literal["balanced"], BeforeValidator(_class_weights)]


_WINDOW = re.compile(r"\s*[1-9][0-9]{0,8}\s+(rows?|days?)(\s+by\s+\S.*)?")


class DataSettings(Section):
    """The samples of this machine; they never leave it."""

    source: Path = Field(
        description="Samples: a .csv or .tsv with a header line (also packed: .csv.gz, .csv.zst), a .parquet, an .npz "
        "with X and y, a directory of such files, or a function of your own, as package.module:function.",
        examples=["samples.csv"],
    )
    target: str | None = Field(
        default=None,
        description="Column to predict; default: the last column, y of an .npz.",
        examples=["price"],
    )
    features: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Columns to learn from, in the order of the network's inputs. Default: all others, sorted by name.",
        examples=[["age", "bmi", "ward"]],
    )
    ignore: tuple[str, ...] = Field(
        default=(), description="Columns that are not learned from, such as identifiers.", examples=[["patient_id"]]
    )
    categorical: tuple[str, ...] = Field(
        default=(),
        description="Columns of text or numbers that become an input for each of their levels. All agents use the "
        "levels that some agent has in 10 rows or more.",
        examples=[["sex", "ward"]],
    )
    dates: tuple[str, ...] = Field(
        default=(),
        description="Columns of dates, that become days, and places in the year, the week and the day.",
        examples=[["admitted"]],
    )
    missing: MissingRule = Field(
        default="refuse",
        description="What becomes of rows with missing values: none is trained on (refuse), they are left out (drop), "
        "the network's mean stands in (mean), and an input says so as well (indicator).",
    )
    encoding: str = Field(default="auto", description="Of text files, as in utf-8, utf-16 or cp1252; auto finds out.")
    delimiter: str = Field(
        default="auto",
        description="Between the values of a text file, one character; auto finds out which of , ; | and tab it is.",
    )
    decimal: Literal["auto", ".", ","] = Field(
        default="auto", description="The decimal mark of numbers in text files; auto finds out."
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
    split: SplitSettings | None = Field(
        default=None,
        description="Fractions of source for train, validation and test, the same at all agents; of these the "
        "network's metrics are. Drawn by what stands in a row; or { time = COLUMN, ... }, the newest last; or "
        "{ column = COLUMN } that says train, validation or test. Instead of test_source and test_fraction.",
        examples=[{"train": 0.7, "validation": 0.1, "test": 0.2}],
    )
    seed: int = Field(default=0, ge=0, description="Seed of the split into training and test samples.")
    window: str | None = Field(
        default=None,
        description="Only the newest rows of source: so many, the last ones or by a column, as in 5000 rows by "
        "admitted; or those of so many days before the newest, by the column of dates. Default: all.",
        examples=["5000 rows"],
    )

    @field_validator("source", "test_source")
    @classmethod
    def _format_is_known(cls, source: Path | None) -> Path | None:
        if source is not None and source.suffix and not has_reader(source) and not is_function(source):
            raise ValueError(f"must end in {suffixes()}, or be a directory")
        return source

    @field_validator("features", "ignore", "categorical", "dates", "target", "weights")
    @classmethod
    def _names_are_composed(cls, names: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        """Names are compared in their composed form."""
        if names is None or isinstance(names, str):
            return names if names is None else unicodedata.normalize("NFC", names.strip())
        return tuple(unicodedata.normalize("NFC", name.strip()) for name in names)

    @field_validator("window")
    @classmethod
    def _window_is_one(cls, window: str | None) -> str | None:
        if window is not None and _WINDOW.fullmatch(window) is None:
            raise ValueError("must be as in 5000 rows, 30 days, or 30 days by admitted")
        return window

    @field_validator("delimiter")
    @classmethod
    def _delimiter_is_no_part_of_a_value(cls, delimiter: str) -> str:
        if delimiter != "auto" and re.fullmatch(r"\t| |[^\w\s\"'.+-]", delimiter) is None:
            raise ValueError("must be auto, or one sign that stands in no number and is no letter and no quote")
        return delimiter

    @model_validator(mode="after")
    def _gaps_can_be_filled(self) -> "DataSettings":
        if self.missing in ("mean", "indicator") and self.standardize == "none":
            raise ValueError(f'missing = "{self.missing}" needs means: standardize = "network", or "local"')
        return self

    @field_validator("classes")
    @classmethod
    def _labels_are_distinct(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if classes is not None and len(set(classes)) < len(classes):
            raise ValueError("must name each label once")
        return classes


Argument: TypeAlias = bool | int | float | str | list[bool | int | float | str]


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
        description="A model of your own, as package.module:name of a function or class that makes it: a PyTorch "
        "module, a Flax module, a pair of JAX functions, or an object of your own. The Python module may stand beside "
        "this file. All of the above but seed then mean nothing.",
        examples=["mymodels:Net"],
    )
    arguments: dict[str, Argument] = Field(
        default={}, description="Arguments of the factory, by name.", examples=[{"width": 16}]
    )
    device: str = Field(
        default="auto",
        pattern=r"^[a-z]+(:\d+)?$",
        description="Where a factory's network is computed, as its library calls it: cpu, cuda, cuda:1, mps, gpu. "
        "auto: on a GPU where there is one.",
    )

    @model_validator(mode="after")
    def _arguments_have_a_factory(self) -> "ModelSettings":
        if self.arguments and self.factory is None:
            raise ValueError("arguments are a factory's; name it in model.factory")
        return self


class ObjectiveSettings(Section):
    """What is minimised: the mean loss over the samples of all agents, plus a penalty."""

    loss: LossChoice = Field(
        default="auto",
        description=f"auto: {losses_for('regression')[0]} for regression, {losses_for('classification')[0]} for "
        "classification.",
    )
    huber_delta: float = Field(
        default=1.0,
        gt=0,
        description="Residual from which on the huber loss grows linearly, in units of the target as trained on.",
    )
    penalty: PenaltyText = Field(default="l2:1e-4", description=f"{', '.join(PENALTIES.forms)}.")
    class_weights: ClassWeights | None = Field(
        default=None,
        description="What samples count by their label: balanced, all labels alike by how many samples of each the "
        "network has (needs data.classes); or a weight for some labels, 1 for the others. Default: all samples alike.",
        examples=["balanced"],
    )
    penalize_biases: bool = Field(default=False, description="Whether the penalty counts biases as well as weights.")

    def loss_for(self, task: Task) -> LossName:
        """The loss to train with; ConfigError where the chosen one does not fit the task."""
        try:
            return loss_for(task, self.loss)
        except ConfigError as error:
            raise ConfigError(f"objective.loss = {error}") from error


class AlgorithmSettings(Section):
    """How the objective is minimised."""

    surrogate: SurrogateName = Field(
        default="partial",
        description="What is linearised in a local step: the network only (partial) or the loss too (full).",
    )
    curvature_samples: PositiveInt | None = Field(
        default=None,
        description="Most samples that a partial surrogate's curvature is taken from, drawn anew for each local step; "
        "the gradient is always that of all samples. Default: all, or as many as fit 64 MB.",
        examples=[2000],
    )
    weighting: Literal["auto", "proxy", "own", "paper", "network"] = Field(
        default="auto",
        description="What an agent's own curvature counts: as much as the network's (proxy), as its share of the "
        "samples (own), or that divided by the number of agents, which is estimated (paper). With network, the "
        "network's own curvature is tracked beside its gradient, for models of n <= 512 parameters: n²/2 numbers "
        "more, rounded. auto: proxy, and network from where machines' data differ, or are few, and n <= 320.",
    )
    step_rule: StepRuleText = Field(
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
    patience: PositiveInt | None = Field(
        default=None,
        description="Early stopping: training ends when the validation loss of all agents' rows has not been less for "
        "so many rounds, with the parameters at which it was least. Needs rows for validation, by data.split. Default: "
        "training ends when it has converged, or after all rounds.",
        examples=[100],
    )
    compare_alone_s: float | None = Field(
        default=None,
        gt=0,
        description="After the end, train once more on this machine's own rows alone, for so many seconds of processor "
        "time at most, and say how good that is on its test rows beside the network's model. Default: no comparison.",
        examples=[60.0],
    )
    solver: SolverChoice = Field(
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
        default=1,
        description="Parts of whole neurons that threads share in a local step, instead of samples: for few samples "
        "of a large model. Their number changes no result.",
    )
    workers: PositiveInt = Field(
        default=1, description="Threads that share the local step: its blocks if there are several, else the samples."
    )
