"""A program that saves one checkpoint after the other in a directory, each of a megabyte, until it is killed."""

import itertools
import sys
from pathlib import Path

import numpy as np

from p2pnet.agent.checkpoint_files import CheckpointFiles, DirectoryFiles
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.training.checkpoint import Checkpoint
from p2pnet.training.records import LearnerState

N_PARAMS = 125_000


def save_for_ever(directory: Path) -> None:
    files = CheckpointFiles(DirectoryFiles(directory), max_bytes=0)
    for round_ in itertools.count(1):
        rounds = RoundSnapshot(round_, np.full(N_PARAMS, float(round_)), 1.0, is_converged=False)
        files.save(Checkpoint(rounds, LearnerState(), {}, tolerance=0.0))


if __name__ == "__main__":
    save_for_ever(Path(sys.argv[1]))
