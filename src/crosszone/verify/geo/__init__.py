"""Measured runs and links across zones: what their tables hold, one kind of row a file."""
