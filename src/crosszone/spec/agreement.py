"""What the keys of `plan.sync` say against each other."""

from __future__ import annotations

from crosszone.core.model import Model
from crosszone.cost.sync import is_local, sync_method
from crosszone.spec import job as spec
from crosszone.spec.reporting import Report

DEFAULT_METHOD = "hierarchical"


def check_sync(job: spec.Job, model: Model | None, report: Report) -> None:
    """Refuse keys that contradict the method or the model, and warn of those that the method does not read."""
    sync = job.plan.sync if job.plan is not None else None
    if sync is None or report.has_lost(("plan", "sync", "method")):
        return
    method = sync.method or DEFAULT_METHOD
    _check_algorithm(sync, method, report)
    _check_fragments(sync, method, model, report)
    _check_delay(sync, method, report)
    _check_streams(sync, method, report)


def _check_algorithm(sync: spec.Sync, method: str, report: Report) -> None:
    if sync_method(method).IS_FLAT and sync.algorithm not in (None, "ring"):
        message = f"{method} is one ring over all ranks, but algorithm is {sync.algorithm}."
        hint = f"Set method: hierarchical for {sync.algorithm}, or algorithm: ring."
        report.refuse(("plan", "sync", "algorithm"), "conflict", message, hint)


def _check_fragments(sync: spec.Sync, method: str, model: Model | None, report: Report) -> None:
    if sync.fragments is None:
        return
    path = ("plan", "sync", "fragments")
    if sync_method(method).LAYERS_PER_FRAGMENT is None:
        message = f"fragments is {sync.fragments}, but {method} exchanges the whole model at once."
        report.refuse(path, "conflict", message, "Set method: streaming_diloco, or leave fragments out.")
    elif model is not None and sync.fragments > model.num_layers:
        message = f"fragments is {sync.fragments}, but the model has {model.num_layers} layers to divide."
        report.refuse(path, "conflict", message, f"Write fragments: {model.num_layers} or less.")


def _check_delay(sync: spec.Sync, method: str, report: Report) -> None:
    delay, every, path = sync.delay, sync.every or 1, ("plan", "sync", "delay")
    if delay is None:
        return
    if method in ("flat", DEFAULT_METHOD):
        message = f"delay is {delay}, but {method} agrees within the step."
        report.refuse(path, "conflict", message, "Set method: delayed, or leave delay out.")
    elif method == "delayed" and delay == 0:
        message = "delay is 0, but delayed applies gradients one step late or more."
        report.refuse(path, "conflict", message, "Write delay: 1, or set method: hierarchical.")
    elif is_local(method) and delay > every:
        message = f"delay is {delay} inner steps, but the next exchange starts after every: {every}."
        report.refuse(path, "conflict", message, f"Write delay: {every} or less, or a larger every.")


def _check_streams(sync: spec.Sync, method: str, report: Report) -> None:
    sent = sync_method(method).STREAM
    for stream in ("gradients", "pseudogradients"):
        name = getattr(sync.codecs, stream) if sync.codecs is not None else None
        if name not in (None, "none") and stream != sent:
            message = f"{stream} has no effect: with {method} zones exchange {sent}."
            report.warn(("plan", "sync", "codecs", stream), message)
