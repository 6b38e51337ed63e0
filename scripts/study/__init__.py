"""The experiments behind docs/experiments.md: runs, tables and figures."""
