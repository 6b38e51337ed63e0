"""Fuzzing of what reads bytes from elsewhere: targets, and a corpus that the tests replay."""
