"""Studies: what to try, in which order, where it runs, and what came of it."""
