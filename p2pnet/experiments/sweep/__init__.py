"""`p2pnet sweep`: grids of simulations, settings by seeds, which go on where they were interrupted."""
