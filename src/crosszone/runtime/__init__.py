"""Trains and measures: the only importer of torch."""
