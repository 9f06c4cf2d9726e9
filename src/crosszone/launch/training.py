"""What no restart can mend, told before anything starts: ranks would fail on it once for each start, a minute long."""

from __future__ import annotations

import os
from pathlib import Path

from crosszone.checkpoints import check_continues, read_config, read_manifest, run_state, whole_checkpoints
from crosszone.launch.bundle_folder import TRAIN_CONFIG_PATH, BundleFolder


def check_training(bundle: BundleFolder) -> None:
    """For a bundle of our trainer whose ranks run on this machine.

    Errors: SpecError where its configuration is wrong or names a file that cannot be read; CrossZoneError where the
    newest checkpoint is of another run.
    """
    if not bundle.has(TRAIN_CONFIG_PATH):
        return
    path = bundle.folder / TRAIN_CONFIG_PATH
    config = read_config(path)
    state = run_state(config, path.parent)
    if config.checkpoint is None:
        return
    checkpoints = Path(os.path.normpath(path.parent / config.checkpoint.folder))
    newest = next(iter(whole_checkpoints(checkpoints)), None)
    if newest is not None:
        check_continues(read_manifest(newest), newest, config, state=state, num_ranks=bundle.world_size)
