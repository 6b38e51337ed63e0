"""The events and effects of the round machine."""

from __future__ import annotations

from typing import TypeAlias

from p2pnet.protocol.core.effects import (
    Audit,
    Close,
    CutLocalStepShort,
    Dismiss,
    Evaluate,
    Finish,
    Notify,
    PutOff,
    RunLocalStep,
    Send,
)
from p2pnet.protocol.core.events import (
    Audited,
    AwayRequested,
    DeadlineReached,
    Evaluated,
    LeaveRequested,
    LocalStepDone,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerParted,
    SamplesChanged,
)
from p2pnet.protocol.messages.training import TrainingMessage

RoundEvent: TypeAlias = (
    PeerConnected
    | PeerDisconnected
    | PeerParted
    | MessageReceived[TrainingMessage]
    | Evaluated
    | Audited
    | LocalStepDone
    | DeadlineReached
    | LeaveRequested
    | AwayRequested
    | SamplesChanged
)
RoundEffect: TypeAlias = (
    Send | Dismiss | PutOff | Evaluate | RunLocalStep | Audit | CutLocalStepShort | Finish | Close | Notify
)
