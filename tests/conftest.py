"""Drawn cases are the same on every run, and may take as long as a busy machine needs."""

import hypothesis
import pytest

hypothesis.settings.register_profile("crosszone", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("crosszone")


@pytest.fixture(scope="session", autouse=True)
def own_data(tmp_path_factory):
    """Nothing that a test starts touches the data of the user who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.delenv("CROSSZONE_DATABASE", raising=False)
        yield
