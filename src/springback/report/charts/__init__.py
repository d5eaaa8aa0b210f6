"""Charts as SVG, drawn from values: one file per kind. No chart reads a record, none knows a run."""
