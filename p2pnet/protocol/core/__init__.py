"""What all machines share, once: types, events, effects, notices, the bounded codec, timers."""
