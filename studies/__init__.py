"""Studies of the method: docs/experiments.md with its runs, tables and figures, and the matrix of all defaults."""
