"""One command, many agents: real daemons as processes on this machine, watched and summed up."""
