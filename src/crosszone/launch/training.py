"""What no restart can mend, told before anything starts: ranks would fail on it once for each start, a minute long."""

from __future__ import annotations

from crosszone.checkpoints import check_training as check_files
from crosszone.launch.bundle_folder import TRAIN_CONFIG_PATH, BundleFolder


def check_training(bundle: BundleFolder) -> None:
    """For a bundle of our trainer whose ranks run on this machine. Errors as `checkpoints.check_training`."""
    if bundle.has(TRAIN_CONFIG_PATH):
        check_files(bundle.folder / TRAIN_CONFIG_PATH, num_ranks=bundle.world_size)
