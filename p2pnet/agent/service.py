"""An agent that keeps running: it reads samples that have changed again, and scales them as the network does."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from dataclasses import replace
from typing import final

from p2pnet.agent.assembly import Preparation
from p2pnet.agent.checkpoints import Checkpoints
from p2pnet.agent.sample_watch import SampleWatch
from p2pnet.catalogue.readers import is_function
from p2pnet.data.reading import load_data
from p2pnet.data.samples import Samples
from p2pnet.data.splitting import Parts
from p2pnet.errors import DataError
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.training.checkpoint import Checkpoint
from p2pnet.training.training import Training, scaled_anew


@final
class Service:
    """Watches the samples of an agent, and makes the training of those that are there now, by the scales in force.

    What it makes is made on the learner's thread, one after the other, each from the one before.
    """

    def __init__(
        self,
        preparation: Preparation,
        watch: SampleWatch,
        checkpoints: Checkpoints,
        log: logging.Logger,
        *,
        is_behind: bool,
    ) -> None:
        """`is_behind`: the samples have changed since the checkpoint that this run goes on from."""
        self.is_behind = is_behind
        self._preparation = preparation
        self._training: Training | None = None
        self._watch = watch
        self._checkpoints = checkpoints
        self._log = log

    @property
    def next_look_at(self) -> float:
        """When the samples are to be looked at."""
        return self._watch.next_look_at

    def ask(self) -> None:
        """Have the samples read again at once, though their files may look the same, or be none."""
        self._watch.ask()

    @property
    def has_news(self) -> bool:
        """Whether the samples have changed, told once each time."""
        return self._watch.has_changed()

    def begin(self, training: Training) -> None:
        """Take over the first training."""
        self._training = training

    def train_anew(self) -> Training | None:
        """The training of the samples that are there now, scaled as before; None where they cannot be used, or are the
        same.

        Rows with labels that the network does not know are held back. All that is wrong is told in the log.
        """
        training = self._present
        try:
            preparation = replace(self._preparation, parts=self._read(training))
            renewed = preparation.training(training.statistics)
        except DataError as error:
            self._log.warning("the samples have changed, and cannot be used: %s; those before stay in use", error)
            return None
        digest = digest_of(preparation.parts.train)
        if digest == self._checkpoints.samples:
            return None
        self._checkpoints.samples = digest
        renewed.learner.succeed(training.learner)
        self._log.info("the samples have changed: %d to train on", preparation.parts.train.n_samples)
        self._preparation, self._training = preparation, renewed
        return renewed

    def rescale(self, statistics: FeatureStatistics, params: Array) -> Training:
        """The training of the same samples, scaled by other statistics, with the parameters that give the same function
        as those given; DataError where it cannot be.
        """
        self._training = scaled_anew(self._present, self._preparation.training(statistics), params)
        return self._training

    @property
    def _present(self) -> Training:
        if self._training is None:
            raise AssertionError("samples are read again, or scaled anew, before there is a training")
        return self._training

    def _read(self, training: Training) -> Parts:
        """The samples, without those that the network has no label for; DataError where they are not of its columns."""
        options = self._preparation.data
        roles = replace(options.roles, task=self._preparation.parts.train.task, classes=None)
        parts = load_data(replace(options, roles=roles))
        classes = training.description.classes
        before = self._preparation.parts.train
        if parts.train.feature_names != before.feature_names:
            raise DataError(f"{options.source}: its columns are others: {', '.join(parts.train.feature_names)}")
        kept = [self._without_unknown(samples, classes) for samples in parts if samples is not None]
        if options.roles.classes is not None:
            kept = [samples.with_classes(classes) for samples in kept]
        return Parts(*kept)

    def _without_unknown(self, samples: Samples, classes: tuple[str, ...]) -> Samples:
        if not classes:
            return samples
        known, unknown = samples.split_by_label(classes)
        if unknown.n_samples:
            labels = sorted({unknown.classes[label] for label in unknown.Y})
            self._log.warning(
                "%d rows are held back: the network does not know their labels: %s; to train on them, begin anew with "
                "all agents",
                unknown.n_samples,
                ", ".join(labels),
            )
        return known


def digest_of(samples: Samples) -> str:
    """The SHA-256 of all that is trained on."""
    digest = hashlib.sha256()
    texts = [samples.classes[label] for label in samples.Y] if samples.classes else []
    for category in samples.categories:
        texts += [category.levels[code] if code >= 0 else "" for code in category.codes]
    digest.update("\0".join(texts).encode())
    for array in (samples.X, None if samples.classes else samples.Y, samples.weights):
        digest.update(b"none" if array is None else array.tobytes())
    return digest.hexdigest()


def make_service(
    preparation: Preparation, checkpoints: Checkpoints, resumed: Checkpoint | None, log: logging.Logger
) -> Service:
    """The service of an agent that keeps running, from the checkpoint that it goes on from, if there is one."""
    checkpoints.samples = digest_of(preparation.parts.train)
    is_behind = resumed is not None and resumed.samples != checkpoints.samples
    data, options = preparation.data, preparation.training_options
    if options.problem.factory and options.scaling == "network" and math.isfinite(preparation.rounds.rescale_at):
        log.warning(
            "model.factory: such a network keeps the scales that are found at first, however samples drift; service."
            "rescale_at = 0 says that this is meant"
        )
    paths = [path for path in (data.source, data.test_source) if path is not None and not is_function(path)]
    watch = SampleWatch(paths, preparation.watch_interval_s, time.monotonic)
    return Service(preparation, watch, checkpoints, log, is_behind=is_behind)
