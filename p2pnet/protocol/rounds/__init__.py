"""Decisions: what an agent says to its neighbors and when. No sockets, clocks or threads; time is an argument."""
