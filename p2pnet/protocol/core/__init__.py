"""Parts shared by all state machines: types, events, effects, notices, the bounded codec, timers."""
