"""`crosszone predict`."""

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsHypothetical, IsVerbose, Job, SavedPlan

EXIT_DOES_NOT_FIT = 3


def predict(
    job: Job,
    plan: SavedPlan = None,
    is_hypothetical: IsHypothetical = False,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Predict time, memory and money of JOB's plan.

    What the plan leaves out is searched, as by plan. Where the plan does not fit in memory, the prediction is
    whole all the same and the exit code is 3.
    """
    from crosszone import service
    from crosszone.cli import console

    problem = console.read_job(job, calibration)
    saved = None if plan is None else service.read_plan(plan, problem=problem)
    ranked = service.predict(problem, plan=saved, is_hypothetical=is_hypothetical)
    if as_json:
        console.write_json(service.prediction_json(ranked))
    else:
        from crosszone.cli.show_prediction import prediction_view

        console.write(*prediction_view(problem, ranked, is_verbose=is_verbose))
    if not ranked.prediction.memory.fits:
        raise typer.Exit(EXIT_DOES_NOT_FIT)
