"""Drawn cases are the same on every run, and may take as long as a busy machine needs."""

import hypothesis

hypothesis.settings.register_profile("crosszone", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("crosszone")
