"""Whether an agent's targets look like the network's, as far as the agent can tell by itself.

Where targets are scaled by all agents' mean and deviation, those of an agent whose samples are dealt at random have
mean 0 and deviation 1 but for chance; and of as many classes as the model tells apart it has some of each. An agent
without knows that its samples are unlike those of others.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from p2pnet.optim.local_objective import LocalObjective

MAX_MEAN: Final = 0.75
DEVIATIONS: Final = (0.5, 2.0)


def is_typical(objective: LocalObjective) -> bool:
    """|mean| ≤ 0.75 and ½ ≤ deviation ≤ 2 of each target, a sign ±1 too, over the agent's samples; of classes, whether
    all are there.
    """
    targets = objective.samples.targets
    if np.issubdtype(targets.dtype, np.integer):
        return np.unique(targets).size >= objective.model.n_outputs
    deviations = targets.std(axis=0)
    is_wide = (deviations >= DEVIATIONS[0]) & (deviations <= DEVIATIONS[1])
    return bool((is_wide & (np.abs(targets.mean(axis=0)) <= MAX_MEAN)).all())
