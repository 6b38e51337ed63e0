"""The demo: daemons as processes on this machine, watched, compared and reported by one command."""
