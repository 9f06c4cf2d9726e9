"""The search: which pools work together, every legal plan on them as columns, the best few in full, and why."""
