"""Predicted against measured: tables of runs, read, predicted and scored."""
