"""The fingerprint of a training: what must be equal for two agents to train together, as text, field by field."""

from __future__ import annotations

import hashlib

from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.catalogue.losses import LOSSES
from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.data.encoding import Encoding
from p2pnet.data.samples import Samples
from p2pnet.protocol.messages.training import MAX_TEXT_LENGTH
from p2pnet.protocol.rounds.fingerprints import column_fields
from p2pnet.training.options import ProblemOptions, TrainingOptions
from p2pnet.training.problem import Problem

FOUND_FIELDS = ("classes", "levels", "model")
"""The fields that may depend on labels and levels still to be found in the statistics stage."""


def fingerprint(problem: Problem, options: TrainingOptions, samples: Samples) -> dict[str, str]:
    """The fingerprint as text, field by field: what must be equal for two agents to train together.

    Where the loss, the penalty or the activation is another package's, its field names package and version.
    """
    loss = LOSSES[options.problem.loss]
    penalty = PENALTIES[PENALTIES.parse(options.problem.penalty).name]
    encoding = samples.encoding or Encoding.plain(samples.feature_names)
    fields = {
        **column_fields([str(column) for column in encoding.columns]),
        "task": samples.task,
        "target": _shown(samples.target_name),
        "loss": loss.named_in(problem.loss.describe()),
        "model": f"{_model_text(problem.model.describe(), options.problem)}, seed {problem.seed}",
        "penalty": penalty.named_in(problem.penalty.describe()),
        **options.agreed,
    }
    fields = {name: fields[name] for name in sorted(fields)}
    if samples.classes:
        fields["classes"] = f"{len(samples.classes)} ({_digest(samples.classes)})"
    if encoding.fills_gaps:
        fields["missing"] = encoding.missing
    if encoding.categories:
        fields["levels"] = f"{len(encoding.inputs)} inputs ({_digest(encoding.inputs)})"
    return fields


def early_fingerprint(problem: Problem, options: TrainingOptions, samples: Samples) -> dict[str, str]:
    """The fingerprint without the fields that depend on labels still to be found in the statistics stage."""
    fields = fingerprint(problem, options, samples)
    has_labels_to_find = samples.task == "classification" and not options.has_given_classes
    if has_labels_to_find:
        fields["classes"] = "as found"
    if samples.categories:
        fields["levels"] = "as found"
    if not (has_labels_to_find or samples.categories):
        return fields
    model = options.problem
    if not model.factory:
        layers = "-".join(map(str, model.hidden)) or "no"
        text = f"{layers} hidden {model.activation} {model.precision}"
        fields["model"] = f"{_model_text(text, model)}, seed {problem.seed}"
    else:
        # It may have as many outputs as there are labels.
        arguments = ", ".join(f"{name} = {model.arguments[name]}" for name in sorted(model.arguments))
        fields["model"] = f"{model.factory.partition(':')[2]}({arguments}), seed {problem.seed}"
    return fields


def _model_text(description: str, options: ProblemOptions) -> str:
    has_activation = options.hidden and not options.factory
    return ACTIVATIONS[options.activation].named_in(description) if has_activation else description


def _shown(name: str) -> str:
    """A name of any length, as a text that a message holds."""
    return name if len(name.encode()) <= MAX_TEXT_LENGTH // 2 else f"{name[:40]}… ({_digest((name,))})"


def _digest(names: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:8]
