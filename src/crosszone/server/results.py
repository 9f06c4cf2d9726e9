"""JSON Schemas of what verbs answer: those of the nouns, with what `service` puts beside their fields."""

from __future__ import annotations

from typing import Any

from crosszone.server.schemas import noun_schemas, reference
from crosszone.server.stored_schemas import stored_schemas


def result_schemas() -> dict[str, Any]:
    """The schemas of all answers, by name."""
    from crosszone.core.answer import Answer
    from crosszone.core.bundle import Agent
    from crosszone.core.framework_choice import FrameworkChoice
    from crosszone.core.prediction import Prediction
    from crosszone.core.preflight import PreflightReport
    from crosszone.core.rank_map import RankMap
    from crosszone.core.side_by_side import SideBySide
    from crosszone.core.simulation import Simulation
    from crosszone.core.validation import SkippedRow, ValidatedRow
    from crosszone.core.whatif import WhatIf
    from crosszone.core.why import Why
    from crosszone.server.configuration import Configuration
    from crosszone.server.operations import STATES, Operation
    from crosszone.service.deployments import DeployCell

    schemas = noun_schemas(
        *(Prediction, Answer, Why, FrameworkChoice, Simulation, WhatIf, Agent, ValidatedRow, SkippedRow, Operation),
        *(DeployCell, SideBySide, PreflightReport, RankMap, Configuration),
    )
    schemas["Operation"]["properties"]["state"]["enum"] = list(STATES)
    prediction = schemas["Prediction"]["properties"]
    prediction |= {"plan": reference("Plan"), "checks": _list(reference("Check"))}
    schemas["Plan"]["properties"] |= {"world_size": _WHOLE, "zone_axis": _TEXT}
    ratio = {"type": ["number", "null"]}
    schemas["Answer"]["properties"] |= {"speedup_ratio": ratio, "scaling_ratio": ratio, "assumed": _list(_TEXT)}
    schemas["WhatIf"]["properties"] |= {"base": reference("Prediction"), "changed": reference("Prediction")}
    schemas["Simulation"]["properties"] |= {
        "fits": {"type": "boolean"},
        "plan": reference("Plan"),
        "detail": _detail(),
    }
    schemas["Planned"] = {"anyOf": [reference("Answer"), reference("Why"), reference("FrameworkChoice")]}
    verbs = {
        "JobDocument": _job_document(),
        "Guide": _guide(),
        "Bundle": _bundle(),
        "DeployCells": _cells(),
        "Validation": _validation(),
    }
    verbs |= {"Accuracy": _accuracy(), **_older(), **_calculator()}
    stored = stored_schemas()
    stored["MeasuredTimeline"]["properties"]["detail"] = _detail()
    return {**schemas, **stored, **verbs, **_catalogs()}


def _job_document() -> dict[str, Any]:
    keys = ("code", "message", "where", "hint")
    error = {"type": "object", "required": list(keys), "properties": dict.fromkeys(keys, _TEXT)}
    properties = {"schema_version": _WHOLE, "job": {"type": "object"}, "text": _TEXT, "errors": _list(error)}
    return {"type": "object", "required": list(properties), "properties": properties}


def _detail() -> dict[str, Any]:
    """A timeline as it is drawn: what `service.detail_json` gives."""
    whole_or_none, number = {"type": ["integer", "null"]}, {"type": "number"}
    bounds = {"start_seconds": number, "end_seconds": number}
    box = {"name": _TEXT, "category": _TEXT, "depth": _WHOLE, **bounds, "duration_seconds": number, "num_spans": _WHOLE}
    box |= {"busy_fraction": number, "moved_bytes": number, "args": {"type": "object"}}
    track: dict[str, Any] = {"zone": _TEXT, "stream": _TEXT, "to_zone": {"type": ["string", "null"]}, "lane": _WHOLE}
    track |= dict.fromkeys(("node_group", "replica", "stage", "rank"), whole_or_none)
    line = _closed({"track": _closed(track), "slices": _list(_closed(box))})
    whole = {**bounds, "num_spans": _WHOLE, "is_merged": {"type": "boolean"}, "tracks": _list(line)}
    return {**_closed(whole), "description": "The timeline as it is drawn."}


def _guide() -> dict[str, Any]:
    texts = dict.fromkeys(("key", "prompt", "default", "reason", "bounds"), _TEXT)
    number = {"type": ["integer", "null"]}
    asked = {**texts, "choices": _list(_TEXT), "low": number, "high": number}
    question = {"type": "object", "required": list(asked), "properties": asked}
    properties = {
        "schema_version": _WHOLE,
        "answers": {"type": "object", "additionalProperties": _TEXT},
        "question": {"anyOf": [question, {"type": "null"}]},
        "plan": {"anyOf": [reference("Plan"), {"type": "null"}]},
        "step_seconds": {"type": ["number", "null"]},
        "job": {"type": ["string", "null"], "description": "The job file, after the last question."},
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _file() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["path", "sha256", "is_executable", "text"],
        "properties": {
            "path": _TEXT,
            "sha256": _TEXT,
            "is_executable": {"type": "boolean"},
            "text": _TEXT,
        },
    }


def _bundle() -> dict[str, Any]:
    piece = {"type": "object", "required": ["zone", "message"], "properties": {"zone": _TEXT, "message": _TEXT}}
    properties = {
        "schema_version": _WHOLE,
        "files": _list(_file()),
        "world_size": _WHOLE,
        "agents": _list(reference("Agent")),
        "piece": {"anyOf": [piece, {"type": "null"}], "description": "Null: it starts the ranks of all zones."},
        "changes": {"type": "array", "maxItems": 0, "description": "Of a folder, which the command line writes."},
        "assumed": _list(_TEXT),
        "warnings": _list(_TEXT),
    }
    return {"type": "object", "description": "All files of a deployment.", "required": list(properties)} | {
        "properties": properties
    }


def _cells() -> dict[str, Any]:
    properties = {"schema_version": _WHOLE, "cells": _list(reference("DeployCell"))}
    return {"type": "object", "required": list(properties), "properties": properties}


def _older() -> dict[str, Any]:
    """What clients of CrossZoneLLM read, and the files with what is assumed of them."""
    success = {"success": {"const": True}}
    files = {"files": _list(_file()), "assumed": _list(_TEXT), "warnings": _list(_TEXT)}
    deployment = {
        **success,
        "deployment_id": {**_TEXT, "description": "Of the files' content: the same files have the same."},
        "message": _TEXT,
        "deployment_path": {"type": "null", "description": "Nothing is kept on the server."},
        **files,
    }
    script = {**success, "script": _TEXT, **files}
    return {
        name: {"type": "object", "required": list(properties), "properties": properties}
        for name, properties in (("OlderDeployment", deployment), ("OlderScript", script))
    }


def _calculator() -> dict[str, Any]:
    """By the names of the LLM Training Calculator."""
    whole_or_none, number = {"type": ["integer", "null"]}, {"type": "number"}
    parts = ("word_embedding", "position_embedding", "self_attention", "feed_forward", "other", "total_parameters")
    kinds = ("optimizer", "weight", "gradient", "activation", "buffer", "overhead", "total", "capacity")
    assumed = {"schema_version": _WHOLE, "assumed": _list(_TEXT)}
    parameter = {"parameter": _closed(dict.fromkeys(parts, _WHOLE))}
    degrees = ("tensor_parallel_degree", "pipeline_parallel_degree", "data_parallel_degree", "microbatch_size")
    config = {
        **dict.fromkeys(degrees, _WHOLE),
        "optimization_strategy": _TEXT,
        "per_iter_training_seconds": number,
        "reasons": _list(_TEXT),
    }
    time = {
        **dict.fromkeys(("total_number_of_gpus", "global_minibatch_size"), _WHOLE),
        "per_iter_training_seconds": number,
        "total_number_of_iters": whole_or_none,
        "total_training_seconds": {"type": ["number", "null"]},
    }
    memory = {**{f"{kind}_bytes": number for kind in kinds}, "fits": {"type": "boolean"}}
    whole = {"memory_usage": _closed(memory), "total_time": _closed(time), "prediction": reference("Prediction")}
    return {
        "CalculatorParameters": _closed({**parameter, **assumed}),
        "CalculatorConfig": _closed({**config, **assumed}),
        "Calculated": _closed({**parameter, **whole, **assumed}),
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _validation() -> dict[str, Any]:
    properties = {
        "schema_version": _WHOLE,
        "rows": _list(reference("ValidatedRow")),
        "skipped": _list(reference("SkippedRow")),
        "warnings": _list(_TEXT),
        "summary": {"type": "object"},
    }
    return {"type": "object", "description": "Predicted against measured.", "required": list(properties)} | {
        "properties": properties
    }


def _accuracy() -> dict[str, Any]:
    """Scores as in `core.validation.Score`, by what they are of, and the runs behind them."""
    number, maybe = {"type": "number"}, {"type": ["number", "null"]}
    shares = ("mape", "median_ape", "bias", "null_model_mape", "regret", "interval_coverage_fraction")
    score = {"num_rows": _WHOLE, "num_groups": _WHOLE, **dict.fromkeys(shares, maybe)}
    row = {**dict.fromkeys(("id", "source", "gpu", "framework"), _TEXT), "relative_error": number}
    parts = {
        "schema_version": _WHOLE,
        **dict.fromkeys(("date", "command"), _TEXT),
        "total": _open(score),
        "sources": _list(_open({"source": _TEXT, "title": _TEXT, "left_out_mape": maybe, **score})),
        "gpus": _list(_open({"gpu": _TEXT, **score})),
        "frameworks": _list(_open({"framework": _TEXT, **score})),
        "rows": _list(_open({**row, "measured": number, "predicted": number})),
    }
    return _open(parts)


def _open(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _catalogs() -> dict[str, Any]:
    entry = {"type": "object", "required": ["name"], "properties": {"name": _TEXT}}
    parts = {"name": _TEXT, "title": _TEXT, "text": {**_TEXT, "description": "The job file."}}
    template = {"type": "object", "required": list(parts), "properties": parts}
    return {
        "Catalog": {
            "type": "object",
            "description": "Entries under the name of their kind, as gpus.",
            "required": ["schema_version"],
            "properties": {"schema_version": _WHOLE},
            "additionalProperties": _list(entry),
        },
        "Templates": {
            "type": "object",
            "required": ["schema_version", "templates"],
            "properties": {"schema_version": _WHOLE, "templates": _list(template)},
        },
    }


_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}


def _list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}
