"""What a worker process does: one verb of a request, as the bytes of its answer."""

from __future__ import annotations

import gc
import gzip
import io
import json
import os
import pickle
import signal
import tarfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from crosszone import service
from crosszone.core.codec import to_json
from crosszone.errors import CrossZoneError

if TYPE_CHECKING:
    from crosszone.core.bundle import BundleFile
    from crosszone.core.plan import Plan
    from crosszone.core.problem import Problem

JSON = "application/json"
GZIP = "application/gzip"
HTML = "text/html"
PICKLE = "application/x-python-pickle"
"""Between our own processes alone."""
NUM_BASES = 128
"""Jobs that a worker remembers between two what-ifs: finding the plan of one takes much longer than a change."""
TRACE_LEVEL = 5
"""Of gzip: traces repeat themselves, and more effort makes them hardly smaller."""
FEWEST_NEW_OBJECTS = 50_000
"""Before garbage is looked for: fewer than on the command line, as a worker goes on for long."""

Request = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer of a verb."""

    media_type: str
    content: bytes
    file_name: str = "bundle.tar.gz"
    """What to save it as, where it is no JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """A mistake of ours: what the log is told."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How much of a request is done, told before its outcome."""

    fraction: float


Outcome = Done | CrossZoneError | Crashed
OnProgress = Callable[[float], None]


def serve_pipe(connection: Connection, niceness: int) -> None:
    """Answer (verb, request) after (verb, request) until the other end of the pipe is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then stops its workers
    os.nice(niceness)
    gc.set_threshold(FEWEST_NEW_OBJECTS)
    while True:
        try:
            verb, request = connection.recv()
        except EOFError:
            return
        connection.send(outcome(verb, request, lambda fraction: connection.send(Progress(fraction=fraction))))


def outcome(verb: str, request: Request, on_progress: OnProgress) -> Outcome:
    """What comes of a request; nothing is raised. `on_progress` is told the fraction that is done, if known."""
    try:
        answer = VERBS[verb](request, on_progress)
    except CrossZoneError as error:
        return error
    except Exception:  # noqa: BLE001 - the last stop before the log
        return Crashed(text=traceback.format_exc())
    if isinstance(answer, Done):
        return answer
    return Done(media_type=JSON, content=json.dumps(answer, ensure_ascii=False, allow_nan=False).encode())


def job(request: Request, on_progress: OnProgress) -> Any:
    """Job JSON."""
    return service.job_document(request["job"], like=request.get("like", ""), settings=request.get("set", ()))


def guide(request: Request, on_progress: OnProgress) -> Any:
    """Guide JSON."""
    return service.guide_json(service.guide_after(request.get("answer", ())))


def predict(request: Request, on_progress: OnProgress) -> Any:
    """Prediction JSON."""
    ranked = service.predict(_problem(request), _plan(request), is_hypothetical=request.get("hypothetical", False))
    return service.prediction_json(ranked)


def plan(request: Request, on_progress: OnProgress) -> Any:
    """Plan JSON; with `why` or `frameworks` the JSON of those."""
    problem = _problem(request)
    if "why" in request:
        return service.why_json(service.received_why(problem, request["why"], where="--why"))
    if request.get("frameworks"):
        return service.framework_choice_json(service.frameworks(problem, on_progress=on_progress))
    answer = service.plan(problem, top=request.get("top", service.DEFAULT_TOP))
    if request.get("sensitivity") or request.get("gpu"):
        answer = service.sensitivity(answer, gpus=request.get("gpu", ()), on_progress=on_progress)
    return service.answer_json(answer)


def whatif(request: Request, on_progress: OnProgress) -> Any:
    """Whatif JSON."""
    base = _base(json.dumps({key: request.get(key) for key in ("job", "plan", "calibration")}, sort_keys=False))
    return service.whatif_json(service.whatif(base, request.get("set", ())))


def simulate(request: Request, on_progress: OnProgress) -> Any:
    """Simulate JSON, or with `archive` the timeline as a packed file for Perfetto."""
    timeline = service.simulate(_problem(request), _plan(request), is_hypothetical=request.get("hypothetical", False))
    if request.get("archive"):
        text = "".join(service.trace_text(timeline))
        packed = gzip.compress(text.encode(), compresslevel=TRACE_LEVEL, mtime=0)
        return Done(media_type=GZIP, content=packed, file_name="trace.json.gz")
    return service.simulation_json(timeline, max_slices=request.get("detail"))


def ranks(request: Request, on_progress: OnProgress) -> Any:
    """Ranks JSON."""
    return service.rank_map_json(service.rank_map(_problem(request), _plan(request), zone=request.get("zone")))


def report(request: Request, on_progress: OnProgress) -> Any:
    """The plans of a job as one file that opens without a server."""
    made = service.report(
        service.received_job(request["job"]),
        chosen=request.get("chosen", 1),
        calibrations=_calibrations(request),
        on_progress=on_progress,
    )
    return Done(media_type=HTML, content=made.html.encode(), file_name="report.html")


def deploy(request: Request, on_progress: OnProgress) -> Any:
    """Deploy JSON with the texts of the files, or with `archive` all of them in one."""
    bundle = service.deploy(
        _problem(request),
        framework=request.get("framework"),
        backend=request["backend"],
        plan=_plan(request),
        device=request.get("device", "cuda"),
        num_steps=request.get("steps"),
        data=request.get("data"),
        checkpoints=request.get("checkpoints"),
        entry_text=request.get("entry"),
        arguments=request.get("arguments", ()),
        port=request.get("port"),
        zone=request.get("zone"),
    )
    if request.get("archive"):
        return Done(media_type=GZIP, content=archive_of(bundle.files))
    value = service.bundle_json(bundle, ())
    value["files"] = [{**file, "text": one.text} for file, one in zip(value["files"], bundle.files, strict=True)]
    return value


def deploy_cells(request: Request, on_progress: OnProgress) -> Any:
    """Which framework may be rendered over which backend, and why not."""
    cells = service.deploy_cells(
        _problem(request),
        device=request.get("device", "cuda"),
        num_steps=request.get("steps"),
        data=request.get("data"),
        checkpoints=request.get("checkpoints"),
    )
    return {"schema_version": 1, "cells": to_json(cells)}


def validate(request: Request, on_progress: OnProgress) -> Any:
    """Validate JSON."""
    found = service.validate_bytes(
        request["table"].encode(),
        where="table",
        all_qualities=request.get("all_qualities", False),
        calibrations=_calibrations(request),
        on_progress=on_progress,
    )
    return service.validation_json(found)


def compare(request: Request, on_progress: OnProgress) -> Any:
    """Compare JSON."""
    results = request["results"]
    names = request.get("names") or [f"results[{index}]" for index in range(len(results))]
    return service.compare_json(service.compare(list(zip(names, results, strict=True))))


def examine(request: Request, on_progress: OnProgress) -> Any:
    """What a request for a task comes to, for the process that keeps it."""
    return Done(media_type=PICKLE, content=pickle.dumps(service.examine(request["value"], request["facts"])))


def older_deploy(request: Request, on_progress: OnProgress) -> Any:
    """The answer that clients of CrossZoneLLM's `POST /api/deploy` read."""
    return service.older_deployment(request)


def older_script(request: Request, on_progress: OnProgress) -> Any:
    """The answer that clients of CrossZoneLLM's `POST /api/generate_training_script` read."""
    return service.older_script(request)


def parameter_metrics(request: Request, on_progress: OnProgress) -> Any:
    """Parameters by part, by the calculator's names."""
    return service.parameter_metrics(request)


def recommended(request: Request, on_progress: OnProgress) -> Any:
    """Degrees of the best plan, by the calculator's names."""
    return service.recommended_config(request)


def calculate(request: Request, on_progress: OnProgress) -> Any:
    """Time and memory of a plan, by the calculator's names."""
    return service.calculate(request)


def templates(request: Request, on_progress: OnProgress) -> Any:
    """First job files, for who has none."""
    found = service.job_templates()
    return {
        "schema_version": 1,
        "templates": [{"name": each.name, "title": each.title, "text": each.text} for each in found],
    }


def doctor(request: Request, on_progress: OnProgress) -> Any:
    """Doctor JSON of this machine."""
    return service.preflight_json(service.preflight(service.probe_request(), on_progress=on_progress))


def catalog(request: Request, on_progress: OnProgress) -> Any:
    """Catalog JSON."""
    kind = request["kind"]
    return {"schema_version": 1, kind: service.catalog_json(service.catalog(kind, request.get("name")))}


def accuracy(request: Request, on_progress: OnProgress) -> Any:
    """Accuracy JSON."""
    return service.accuracy()


def schema(request: Request, on_progress: OnProgress) -> Any:
    """JSON Schema of the job file."""
    return service.job_schema()


def warm(request: Request, on_progress: OnProgress) -> Any:
    """Load what verbs need, before somebody waits for it."""
    service.whatif(service.whatif_base(service.received_job(service.starter_job())))
    gc.collect()
    gc.freeze()
    return None


def archive_of(files: Sequence[BundleFile]) -> bytes:
    """A tar.gz whose bytes depend on the files alone."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file in files:
            data = file.text.encode()
            member = tarfile.TarInfo(f"bundle/{file.path}")
            member.size = len(data)
            member.mode = 0o755 if file.is_executable else 0o644
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


VERBS: dict[str, Callable[[Request, OnProgress], Any]] = {
    verb.__name__: verb
    for verb in (
        *(job, guide, predict, plan, whatif, simulate, ranks, report, deploy, deploy_cells, validate, compare),
        *(older_deploy, older_script, examine),
        *(parameter_metrics, calculate),
        *(doctor, accuracy, catalog, templates, schema, warm),
    )
} | dict.fromkeys(("recommended_tensor", "recommended_pipeline", "recommended_microbatch"), recommended)


def _problem(request: Request) -> Problem:
    problem = service.received_problem(request["job"])
    calibrations = _calibrations(request)
    return service.calibrated(problem, calibrations) if calibrations else problem


def _calibrations(request: Request) -> Any:
    value = request.get("calibration")
    return () if value is None else service.received_calibrations(value, where="--calibration")


def _plan(request: Request) -> Plan | None:
    value = request.get("plan")
    if value is None:
        return None
    return service.received_plan(value, where="--plan", problem=service.received_problem(request["job"]))


@lru_cache(maxsize=NUM_BASES)
def _base(text: str) -> Any:
    """A job with its plan and prediction. Its text is the key, because a mapping cannot be one."""
    request = json.loads(text)
    job = service.received_job(request["job"])
    return service.whatif_base(job, plan=_plan(request), calibrations=_calibrations(request))
