"""A bundle's own programs, as whoever follows a run uses them."""

import pytest

from crosszone.errors import CrossZoneError
from crosszone.launch import backends
from crosszone.launch.bundle_folder import open_bundle


def test_a_program_that_does_not_end_has_failed_and_says_so(make, monkeypatch) -> None:
    forever = "exec sleep 600"
    programs = {"status_training_sh": forever, "fetch_logs_sh": forever, "stop_training_sh": forever}
    bundle = open_bundle(make(backend="ssh", **programs))
    monkeypatch.setattr(backends, "NODES_SECONDS", 0.1 - bundle.grace_seconds)
    assert backends.fetch_logs(bundle) is False
    assert backends.node_states(bundle) == {}
    with pytest.raises(CrossZoneError, match=r"ended with 124: it was ended after 0\.1 s: a node does not answer"):
        backends.run_program(bundle, "stop_training.sh")
