"""A bundle in its folder: whole or not at all, nothing of a person's is lost, and what would change is shown."""

import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest

from crosszone import service
from crosszone.core.run import RUNNING, STOPPED, Run
from crosszone.deploy.shipped import SCRIPTS
from crosszone.errors import PreflightFailed, SpecError
from crosszone.launch.record import LOCK_FILE, read_run, write_run
from crosszone.processes import identity


@pytest.fixture
def folder(job, written) -> Path:
    return written(job)


def all_files(folder: Path) -> dict[str, str]:
    """By path; the lock beside the logs is nobody's content."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != LOCK_FILE]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def live_run() -> Run:
    """A run whose supervisor is this very process."""
    supervisor = identity(os.getpid())
    assert supervisor is not None
    return Run(
        run_id="20261121T000000Z-abc",
        backend="bare",
        framework="ddp",
        world_size=3,
        num_steps=10,
        python="python3",
        log_folder="logs/20261121T000000Z-abc",
        log_sizes=(),
        grace_seconds=30.0,
        supervisor=supervisor,
        started_seconds=0.0,
        state=RUNNING,
    )


def test_every_file_is_in_the_manifest_with_its_hash(job, deployed, folder) -> None:
    listed = json.loads((folder / "metadata.json").read_text())["files"]
    assert listed.keys() == all_files(folder).keys() - {"metadata.json"}
    for file in deployed(job).files:
        if file.path != "metadata.json":
            assert listed[file.path]["sha256"] == file.sha256


def test_programs_may_be_executed_and_nothing_else(folder) -> None:
    executable = {path for path in all_files(folder) if (folder / path).stat().st_mode & stat.S_IXUSR}
    assert executable == {"launch/zone-0/agent-0.sh", "launch/zone-1/agent-1.sh", *SCRIPTS}


def test_the_same_job_gives_the_same_bytes(job, deployed, folder) -> None:
    assert service.bundle_changes(deployed(job), folder) == ()
    before = (folder / "metadata.json").stat().st_ino
    assert service.write_bundle(deployed(job), folder) == ()
    assert (folder / "metadata.json").stat().st_ino == before


def test_a_changed_job_shows_as_a_diff_and_is_written(job, deployed, folder) -> None:
    bundle = deployed(job, num_steps=20)
    changes = service.bundle_changes(bundle, folder)
    assert {change.path for change in changes} == {"configs/train.json", "metadata.json"}
    config = next(change for change in changes if change.path == "configs/train.json")
    assert config.kind == "changed"
    assert '-  "num_steps": 10,\n' in config.difference
    assert '+  "num_steps": 20,\n' in config.difference
    assert '"num_steps": 10' in (folder / "configs/train.json").read_text()  # only shown
    assert service.write_bundle(bundle, folder) == changes
    assert '"num_steps": 20' in (folder / "configs/train.json").read_text()


def test_files_that_the_new_bundle_lacks_are_gone(job, deployed, folder) -> None:
    changes = service.write_bundle(deployed(job, backend="local", device="cpu"), folder)
    assert ("launch/zone-0/agent-0.sh", "removed") in {(change.path, change.kind) for change in changes}
    assert ("run_training.sh", "added") in {(change.path, change.kind) for change in changes}
    assert not (folder / "launch").exists()


def test_what_somebody_edited_is_not_overwritten_without_force(job, deployed, folder) -> None:
    config = folder / "configs/train.json"
    config.write_text(config.read_text().replace('"seed": 0', '"seed": 1'))
    (folder / "hostfile").unlink()
    before = all_files(folder)
    with pytest.raises(SpecError) as caught:
        service.write_bundle(deployed(job, num_steps=20), folder)
    assert [finding.where for finding in caught.value.findings] == [str(config), str(folder / "hostfile")]
    assert all_files(folder) == before
    service.write_bundle(deployed(job, num_steps=20), folder, is_forced=True)
    assert '"seed": 0' in config.read_text()
    assert (folder / "hostfile").exists()


def test_nothing_is_written_under_a_live_run(job, deployed, folder) -> None:
    (folder / "logs").mkdir()
    write_run(folder / "logs", live_run())
    before = all_files(folder)
    for is_forced in (False, True):
        with pytest.raises(PreflightFailed, match=f"process {os.getpid()}") as caught:
            service.write_bundle(deployed(job, num_steps=20), folder, is_forced=is_forced)
        assert caught.value.findings[0].code == "runs_already"
    assert all_files(folder) == before
    assert service.write_bundle(deployed(job), folder) == ()  # nothing would change
    write_run(folder / "logs", dataclasses.replace(live_run(), state=STOPPED))
    assert service.write_bundle(deployed(job, num_steps=20), folder)
    assert read_run(folder / "logs") == dataclasses.replace(live_run(), state=STOPPED)


def test_who_stands_in_the_folder_stays_in_it(job, deployed, folder, monkeypatch) -> None:
    """Ranks that nobody recorded, as of `run_training.sh` by hand: their folder and open files are still the same."""
    log = (folder / "logs").mkdir() or (folder / "logs/rank-0.log").open("w")
    monkeypatch.chdir(folder)
    inode = folder.stat().st_ino
    service.write_bundle(deployed(job, num_steps=20), folder)
    log.write("still here")
    log.close()
    assert Path("logs/rank-0.log").read_text() == "still here"
    assert folder.stat().st_ino == Path.cwd().stat().st_ino == inode


@pytest.mark.parametrize("name", [".", "./bundle/../../bundle/"])
def test_a_folder_may_be_named_in_any_way(job, deployed, folder, monkeypatch, name) -> None:
    (folder / "bundle").mkdir()
    monkeypatch.chdir(folder)
    assert service.write_bundle(deployed(job, num_steps=20), name)
    assert json.loads((folder / "metadata.json").read_text())["request"]["num_steps"] == 20


def test_a_link_to_a_folder_stays_a_link(job, deployed, folder, tmp_path) -> None:
    link, new = tmp_path / "link", tmp_path / "new"
    link.symlink_to(folder)
    assert service.write_bundle(deployed(job, num_steps=20), link)
    assert link.is_symlink()
    assert json.loads((folder / "metadata.json").read_text())["request"]["num_steps"] == 20
    new.symlink_to(tmp_path / "made")
    assert service.write_bundle(deployed(job), new)
    assert (tmp_path / "made/metadata.json").is_file()


def test_what_somebody_put_where_a_file_belongs_is_not_lost(job, deployed, folder) -> None:
    mine = folder / "run_training.sh"
    mine.write_text("mine")
    bundle = deployed(job, backend="local", device="cpu")
    with pytest.raises(SpecError, match="no bundle brought it") as caught:
        service.write_bundle(bundle, folder)
    assert [(finding.code, finding.where) for finding in caught.value.findings] == [("in_the_way", str(mine))]
    assert mine.read_text() == "mine"
    service.write_bundle(bundle, folder, is_forced=True)
    assert mine.read_text() == bundle.text("run_training.sh")


def test_a_folder_where_a_file_belongs_is_refused_even_by_force(job, deployed, folder) -> None:
    (folder / "run_training.sh").mkdir()
    before = all_files(folder)
    with pytest.raises(SpecError, match=r"Move it away\.$"):
        service.write_bundle(deployed(job, backend="local", device="cpu"), folder, is_forced=True)
    assert all_files(folder) == before


def test_what_python_compiled_goes_with_its_sources(job, deployed, folder) -> None:
    compiled = folder / "launch/zone-0/__pycache__"
    compiled.mkdir()
    (compiled / "x.pyc").write_bytes(b"")
    (folder / "launch/zone-1/mine").touch()
    service.write_bundle(deployed(job, backend="local", device="cpu"), folder)
    assert not (folder / "launch/zone-0").exists()
    assert os.listdir(folder / "launch/zone-1") == ["mine"]


def test_what_a_run_left_stays(job, deployed, folder) -> None:
    for path in ("logs/rank-0.jsonl", "checkpoints/step-1/data", "configs/mine.json"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("kept")
    service.write_bundle(deployed(job, num_steps=20), folder)
    assert {path for path, text in all_files(folder).items() if text == "kept"} == {
        "logs/rank-0.jsonl",
        "checkpoints/step-1/data",
        "configs/mine.json",
    }


@pytest.mark.parametrize("content", [None, "{}", '{"files": 3}', '{"files": {"../x": {"sha256": ""}}}'])
def test_a_folder_of_something_else_is_left_alone(job, deployed, tmp_path, content) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    if content is not None:
        (folder / "metadata.json").write_text(content)
    before = all_files(folder)
    with pytest.raises(SpecError, match="something else than a bundle"):
        service.write_bundle(deployed(job), folder, is_forced=True)
    assert all_files(folder) == before


def test_a_failure_half_way_leaves_what_was_there(job, deployed, folder, monkeypatch) -> None:
    before = all_files(folder)
    write_text = Path.write_text

    def full(self, *arguments, **options):
        if self.name == "metadata.json":
            raise OSError(28, "No space left on device")
        return write_text(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        service.write_bundle(deployed(job, num_steps=20), folder)
    assert all_files(folder) == before
    assert os.listdir(folder.parent) == [folder.name]
    with pytest.raises(OSError, match="No space left"):
        service.write_bundle(deployed(job), folder.with_name("other"))
    assert os.listdir(folder.parent) == [folder.name]


def test_a_failure_between_two_files_takes_back_the_first(job, deployed, folder, monkeypatch) -> None:
    before = all_files(folder)
    replace = Path.replace

    def failing(self, target):
        if Path(target) == folder / "metadata.json":
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="Input/output error"):
        service.write_bundle(deployed(job, backend="local", device="cpu", num_steps=20), folder)
    assert all_files(folder) == before


def test_an_empty_folder_is_filled_and_a_missing_parent_named(job, deployed, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    service.write_bundle(deployed(job), empty)
    assert (empty / "README.zh.md").exists()
    with pytest.raises(SpecError, match="there is no folder"):
        service.write_bundle(deployed(job), tmp_path / "no" / "such")
