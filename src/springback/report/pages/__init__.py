"""Pages of runs that are no audit: one module a command, see `sheet`."""
