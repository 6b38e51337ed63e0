"""Tests, as a package, so that one directory can use what another has."""
