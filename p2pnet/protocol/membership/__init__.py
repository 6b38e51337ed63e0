"""Decisions on who is there, and who is whose neighbor: event and `now` in, effects out."""
