"""Many audits in one run: the grid of rebound over models, tuners, labels, data and ways of reversing."""
