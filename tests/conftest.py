"""Drawn cases are the same on every run, and may take as long as a busy machine needs."""

import os

import hypothesis
import pytest

# Threads of one process wait for each other in a loop: two on a core that others need take four times as long as one.
# Set before anything loads torch or numpy, and for every program that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("crosszone", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("crosszone")


def pytest_collection_modifyitems(config, items):
    """Workers begin with the files that have slow tests, so that they end together."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def own_data(tmp_path_factory):
    """Nothing that a test starts touches the data of the user who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.delenv("CROSSZONE_DATABASE", raising=False)
        yield
