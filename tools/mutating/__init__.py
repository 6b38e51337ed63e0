"""Mutation testing: small changes to a module, each of which some test of the module has to notice."""
