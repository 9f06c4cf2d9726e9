"""The verbs as functions: everything below the command line and the server is reached only through here.

A verb takes and gives the nouns of `core`; the `*_json` functions give what is printed and sent. Every name is loaded
when it is first used, and heavy packages where they are used, so that a program which needs one verb pays for that one.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosszone.service.access import *  # noqa: F403
    from crosszone.service.as_json import *  # noqa: F403
    from crosszone.service.backups import *  # noqa: F403
    from crosszone.service.calculator import *  # noqa: F403
    from crosszone.service.catalogs import *  # noqa: F403
    from crosszone.service.comparison import *  # noqa: F403
    from crosszone.service.deployments import *  # noqa: F403
    from crosszone.service.first_job import *  # noqa: F403
    from crosszone.service.inventory import *  # noqa: F403
    from crosszone.service.older_requests import *  # noqa: F403
    from crosszone.service.preflights import *  # noqa: F403
    from crosszone.service.received import *  # noqa: F403
    from crosszone.service.reports import *  # noqa: F403
    from crosszone.service.runs import *  # noqa: F403
    from crosszone.service.saved import *  # noqa: F403
    from crosszone.service.stored import *  # noqa: F403
    from crosszone.service.task_check import *  # noqa: F403
    from crosszone.service.tasks import *  # noqa: F403
    from crosszone.service.verbs import *  # noqa: F403

_HOMES = {
    "access": (
        "all_tokens",
        "audit_log",
        "caller",
        "has_good_token",
        "issue_token",
        "lifetime_seconds",
        "quotas",
        "quotas_json",
        "revoke_token",
        "set_quota",
        "token_json",
    ),
    "as_json": (
        "activity",
        "answer_json",
        "calibration_report_json",
        "calibrations_json",
        "detail_json",
        "framework_choice_json",
        "gpu_report_json",
        "plan_json",
        "prediction_json",
        "replan_json",
        "simulation_json",
        "sweep_json",
        "trace_text",
        "validation_json",
        "whatif_json",
        "why_json",
    ),
    "backups": (
        "backup",
        "backup_json",
        "restore",
    ),
    "calculator": (
        "calculate",
        "parameter_metrics",
        "recommended_config",
    ),
    "catalogs": (
        "CATALOGS",
        "CatalogEntry",
        "accuracy",
        "catalog",
        "catalog_json",
    ),
    "comparison": (
        "compare",
        "compare_json",
        "compare_table",
        "saved_result",
    ),
    "deployments": (
        "bundle_changes",
        "bundle_json",
        "deploy",
        "deploy_cells",
        "rank_map",
        "rank_map_json",
        "write_bundle",
    ),
    "first_job": (
        "JobTemplate",
        "guide",
        "guide_after",
        "guide_answered",
        "guide_back",
        "guide_job",
        "guide_json",
        "guide_keys",
        "guide_question",
        "job_template",
        "job_templates",
    ),
    "inventory": (
        "add_demo",
        "add_environment",
        "change_environment",
        "chosen_cluster",
        "environment",
        "environment_paths",
        "environments",
        "import_environments",
        "import_asked",
        "probe_environments",
        "remove_environment",
        "set_zone_link",
        "zone_links",
    ),
    "older_requests": (
        "older_deployment",
        "older_script",
    ),
    "preflights": (
        "check_ranks",
        "preflight",
        "preflight_json",
        "probe_request",
    ),
    "received": (
        "job_document",
        "received_calibrations",
        "received_job",
        "received_plan",
        "received_problem",
        "received_why",
    ),
    "reports": (
        "Report",
        "report",
    ),
    "runs": (
        "follow_run",
        "run_json",
        "run_log",
        "run_status",
        "start_run",
        "stop_run",
    ),
    "saved": (
        "compare_runs",
        "remove_run",
        "save_run",
        "saved_run",
        "saved_runs",
    ),
    "stored": (
        "assets",
        "deployment",
        "deployment_changes",
        "deployment_files",
        "drop_old",
        "keep_asset",
        "note_request",
        "noted",
        "remove_deployment",
        "stored_deployments",
        "stored_events",
    ),
    "task_check": ("examine",),
    "tasks": (
        "CreatedTask",
        "answered_before",
        "ask_task_to_stop",
        "create_task",
        "keep_task",
        "open_store",
        "opened_store",
        "request_again",
        "task_attempts",
        "task_facts",
        "task_history",
        "training_task",
        "training_tasks",
    ),
    "verbs": (
        "DEFAULT_TOP",
        "advice",
        "calibrate",
        "calibrate_bytes",
        "calibrate_gpu",
        "calibrated",
        "changed_problem",
        "fit_gpu",
        "frameworks",
        "job_schema",
        "open_job",
        "plan",
        "predict",
        "read",
        "read_calibrations",
        "read_plan",
        "read_text",
        "replan",
        "sensitivity",
        "simulate",
        "starter_job",
        "sweep",
        "validate",
        "validate_bytes",
        "whatif",
        "whatif_base",
        "why",
    ),
}
"""The modules, and what is public of each."""

__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
