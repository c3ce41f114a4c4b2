"""How fast and how large training is, as ratios of runs that take turns."""
