"""The exceptions of p2pnet, all in one place.

    P2pnetError
    ├── ConfigError       a setting is unknown, wrong or missing          exit code 78
    ├── DataError         samples that cannot be read or trained on       exit code 65
    │   └── DataProblemsError      several problems of one file
    ├── ModelError        a model or model file that cannot be used       exit code 65
    ├── SecurityError     a key file that is missing, open or damaged     exit code 77
    ├── CheckpointError   a checkpoint that is damaged, or of another training; it is passed over, never fatal
    ├── ProtocolError     a message that breaks the protocol; it is dropped and counted, never fatal
    ├── TransportError    an address that cannot be bound or dialed       exit code 69
    ├── ControlError      an agent that cannot be asked: it does not run  exit code 69
    └── TrainingError     a run that could not be brought to its end      exit code 1

Each message says what was wrong, where, and what to do. Errors of other libraries are translated where they enter.
The exit codes are those of sysexits.h.
"""

from collections.abc import Sequence


class P2pnetError(Exception):
    """Base of everything that p2pnet raises on purpose: what is wrong, or a headline and a line for each problem."""

    exit_code = 1

    def __init__(self, headline: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__("; ".join([headline, *problems]))
        self.headline = headline
        self.problems = tuple(problems)


class ConfigError(P2pnetError):
    """A setting is unknown, has a bad value, or is missing."""

    exit_code = 78


class DataError(P2pnetError):
    """Samples that cannot be read, or that cannot be trained on."""

    exit_code = 65


class DataProblemsError(DataError):
    """Several problems of one file, a line each."""


class ModelError(P2pnetError):
    """A model that does not keep the documented interface, or a model file that cannot be used."""

    exit_code = 65


class SecurityError(P2pnetError):
    """A key file that is missing, readable by others, or damaged."""

    exit_code = 77


class CheckpointError(P2pnetError):
    """A checkpoint that is damaged, of another training, or of a newer version; the agent begins anew."""


class ProtocolError(P2pnetError):
    """A message that breaks the protocol; the receiver drops and counts it."""


class TransportError(P2pnetError):
    """An address that cannot be bound or dialed."""

    exit_code = 69


class ControlError(P2pnetError):
    """An agent on this machine that cannot be asked, or told: it does not run, or does not answer."""

    exit_code = 69


class TrainingError(P2pnetError):
    """A run that could not be brought to its end."""
