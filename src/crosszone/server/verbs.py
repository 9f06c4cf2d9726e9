"""The verbs that can be asked for, and what each may be told: the options of the command line, by the same names."""

from __future__ import annotations

from dataclasses import replace

from crosszone.server.verb import (
    FLAG,
    MOST_WHOLES,
    NUMBER,
    OBJECT,
    OBJECTS,
    TEXT,
    TEXT_OR_OBJECT,
    TEXTS,
    WHOLE,
    WHOLES,
    Option,
    Verb,
)
from crosszone.service.calculator import STRATEGIES
from crosszone.service.older_requests import MOST_GPUS

MOST_PLANS = 1000
MOST_SLICES = 100_000

JOB = Option(
    name="job",
    kind=TEXT_OR_OBJECT,
    meaning="The job file: an object with its keys, or its YAML text. It may name no files.",
    is_required=True,
)
_DRAFT = Option(
    name="job",
    kind=TEXT_OR_OBJECT,
    meaning="The job file, right or wrong: an object with its keys, or its YAML text.",
    is_required=True,
)
PLAN = Option(
    name="plan",
    kind=OBJECT,
    meaning="A plan, or a prediction that has one, or an answer of plan, whose first is taken; the job's own if left "
    "out.",
)
CALIBRATION = Option(name="calibration", kind=OBJECT, meaning="What `crosszone calibrate` wrote.")
HYPOTHETICAL = Option(
    name="hypothetical", kind=FLAG, meaning="Take a plan that its framework cannot express, as an order of work."
)

EXAMPLE_JOB = {
    "model": "llama-3-8b",
    "workload": {"sequence_length": 8192, "global_batch_size": 128, "train_tokens": "100B"},
    "cluster": {
        "zones": [
            {"name": "east", "nodes": [{"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": 8}]},
            {"name": "west", "nodes": [{"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": 8}]},
        ],
        "links": [{"between": ["east", "west"], "bandwidth": "10 Gbit/s", "rtt": "30 ms"}],
    },
    "framework": {"name": "megatron"},
    "plan": {"tp": 2, "pp": 2, "dp": 4, "microbatch_size": 1, "recompute": "selective"},
}

TABLE_EXAMPLE = (
    "id,model,gpu,n_gpus,gpus_per_node,tp,pp,dp,seq_len,global_batch,micro_batch,step_seconds\n"
    "r1,llama-3-8b,h100-sxm5-80gb,8,8,1,1,8,8192,128,1,10.0\n"
)

_OLDER_PLAN = (
    Option(name="modelSize", kind=NUMBER, meaning="Billions of parameters.", is_required=True, most=10**6),
    *(
        Option(name=name, kind=WHOLE, meaning=f"{title} parallel degree.", is_required=True, most=MOST_GPUS)
        for name, title in (("dp", "Data"), ("pp", "Pipeline"), ("tp", "Tensor"))
    ),
)
_OLDER_OPTIONS = (
    Option(name="framework", kind=TEXT, meaning="As of deploy; deepspeed if left out."),
    Option(name="gpu", kind=TEXT, meaning="A GPU of the catalog; a100-sxm4-80gb if left out."),
    Option(name="sequenceLength", kind=WHOLE, meaning="Tokens; 2048 if left out.", most=10**8),
)

_RENDERED = (
    Option(name="device", kind=TEXT, meaning="cpu: to try a bundle out.", choices=("cuda", "cpu")),
    Option(name="steps", kind=WHOLE, meaning="In place of train_tokens.", most=10**9),
    Option(name="data", kind=TEXT, meaning="Tokens, at this absolute path on every node; synthetic if left out."),
    Option(
        name="checkpoints", kind=TEXT, meaning='Folder that all nodes see, an absolute path; "none": no checkpoints.'
    ),
)
"""What files are rendered with."""
_CALCULATED = (
    Option(
        name="model",
        kind=TEXT_OR_OBJECT,
        meaning="A model of the catalog; or its shape: token_length num_attention_heads hidden_layer_size num_layers "
        "vocab_size; or as a job file has it.",
        is_required=True,
    ),
    Option(name="gpu", kind=TEXT, meaning="A GPU of the catalog, as h100 or a100-sxm4-80gb.", is_required=True),
    Option(name="token_length", kind=WHOLE, meaning="Tokens of a sequence; the model's, or 2048.", most=10**8),
    Option(name="network_bandwidth", kind=TEXT, meaning="Of a node, as 200 Gbit/s, which is also the default."),
    Option(name="tensor_parallel_degree", kind=WHOLE, meaning="Degree.", most=MOST_GPUS),
    Option(name="pipeline_parallel_degree", kind=WHOLE, meaning="Degree.", most=MOST_GPUS),
    Option(name="data_parallel_degree", kind=WHOLE, meaning="Degree.", most=MOST_GPUS),
    Option(name="minibatch_size", kind=WHOLE, meaning="Sequences of a step of one replica.", most=10**9),
    Option(name="microbatch_size", kind=WHOLE, meaning="Sequences.", most=10**6),
    Option(
        name="optimization_strategy",
        kind=TEXT,
        meaning="What of the activations is computed again.",
        choices=tuple(STRATEGIES),
    ),
)
_NEEDED = ("tensor_parallel_degree", "pipeline_parallel_degree", "data_parallel_degree", "minibatch_size")
_CALCULATOR_EXAMPLE = {
    "gpu": "a100-sxm4-80gb",
    "model": {
        "token_length": 2048,
        "num_attention_heads": 32,
        "hidden_layer_size": 4096,
        "num_layers": 32,
        "vocab_size": 32000,
    },
    "minibatch_size": 8,
}


def _recommending(name: str, what: str, *needed: str) -> Verb:
    """Of the LLM Training Calculator: the best plan that keeps what is already decided."""
    total = Option(name="total_number_of_gpus", kind=WHOLE, meaning="Of the cluster; 8.", most=MOST_GPUS)
    return Verb(
        name=name,
        path=f"/api/v1/calculator/{name}",
        summary=f"Recommend a {what}, as the LLM Training Calculator did",
        description="All degrees of the best plan that keeps those of the request; what is filled in is listed.",
        options=(*(replace(each, is_required=each.is_required or each.name in needed) for each in _CALCULATED), total),
        is_long=True,
        result="CalculatorConfig",
        example={**_CALCULATOR_EXAMPLE, **dict.fromkeys(needed, 2)},
    )


_CALCULATOR = (
    Verb(
        name="parameter_metrics",
        path="/api/v1/calculator/parameter_metrics",
        summary="Count the parameters of a model by part, as the LLM Training Calculator did",
        description="As exactly as its framework counts them.",
        options=_CALCULATED[:1],
        is_long=False,
        result="CalculatorParameters",
        example={"model": "llama-2-7b"},
    ),
    _recommending("recommended_tensor", "tensor parallel degree"),
    _recommending("recommended_pipeline", "pipeline parallel degree", "tensor_parallel_degree"),
    _recommending("recommended_microbatch", "microbatch", "pipeline_parallel_degree"),
    Verb(
        name="calculate",
        path="/api/v1/calculator/calculate",
        summary="Predict time and memory of a plan, as the LLM Training Calculator did",
        description="Its names, our figures, and the whole prediction.",
        options=(
            *(replace(each, is_required=each.is_required or each.name in _NEEDED) for each in _CALCULATED),
            Option(name="number_of_input_tokens", kind=TEXT, meaning="Of the data set, as 300B."),
            Option(name="epochs", kind=WHOLE, meaning="Passes over it; 1.", most=10**6),
        ),
        is_long=False,
        result="Calculated",
        example={
            **_CALCULATOR_EXAMPLE,
            "tensor_parallel_degree": 2,
            "pipeline_parallel_degree": 2,
            "data_parallel_degree": 2,
            "optimization_strategy": "Full recomputation",
            "number_of_input_tokens": "10B",
        },
    ),
)

VERBS = (
    *_CALCULATOR,
    Verb(
        name="job",
        path="/api/v1/job",
        summary="Read the text of a job file, or write one",
        description="Gives both forms of a job, its keys and its YAML text, with all that is wrong with it: that is no "
        "reason to refuse it, unlike a text that is no YAML.",
        options=(
            _DRAFT,
            Option(
                name="like",
                kind=TEXT,
                meaning="Text that a `job` of keys takes the place of: what is the same stays as it is written there, "
                "comments too.",
            ),
            Option(
                name="set", kind=TEXTS, meaning='Values that it shall have, each "KEY=VALUE"; null takes a key away.'
            ),
        ),
        is_long=False,
        result="JobDocument",
        example={"job": EXAMPLE_JOB},
    ),
    Verb(
        name="guide",
        path="/api/v1/guide",
        summary="Ask for a first job, question by question",
        description="What `crosszone init --guide` asks next, what is legal and what is recommended; after the last "
        "question the job file.",
        options=(
            Option(
                name="answer",
                kind=TEXTS,
                meaning='Answers so far, each "KEY=VALUE", in the order of the questions; an empty value is what is '
                "recommended.",
            ),
        ),
        is_long=True,
        result="Guide",
        example={"answer": ["model=llama-3-8b", "sequence_length=8192"]},
    ),
    Verb(
        name="predict",
        path="/api/v1/predict",
        summary="Predict time, memory and money of a plan",
        description="That of the job, of which a degree that follows from the others may be left out, or `plan`. Where "
        "the plan does not fit in memory, the prediction is whole all the same: look at `memory.fits`.",
        options=(JOB, PLAN, HYPOTHETICAL, CALIBRATION),
        is_long=False,
        result="Prediction",
        example={"job": EXAMPLE_JOB},
    ),
    Verb(
        name="plan",
        path="/api/v1/plan",
        summary="Find the best plans for a job",
        description="Ranked, with reasons, beside the best plan in one zone alone. Where nothing fits, `plans` is "
        "empty and `verdict` says why. With `why` or `frameworks` the answer is that of the question.",
        options=(
            JOB,
            Option(name="top", kind=WHOLE, meaning="How many plans to give, at most.", most=MOST_PLANS, example=5),
            Option(
                name="sensitivity",
                kind=FLAG,
                meaning="Search again with other links, nodes, GPUs and batches; takes some dozen times as long.",
            ),
            Option(name="gpu", kind=TEXTS, meaning="GPUs that `sensitivity` tries everywhere."),
            Option(
                name="why",
                kind=TEXT_OR_OBJECT,
                meaning='Say why not this plan: "tp=8,pp=4,zones=east+west", or a plan.',
            ),
            Option(name="frameworks", kind=FLAG, meaning="Say which framework to take."),
            CALIBRATION,
        ),
        is_long=True,
        result="Planned",
        example={"job": {key: value for key, value in EXAMPLE_JOB.items() if key != "plan"}, "top": 3},
    ),
    Verb(
        name="whatif",
        path="/api/v1/whatif",
        summary="Show what a change of a job does to every number",
        description="The plan stays as it is, but for what `set` changes of it. Without `set`: what bounds the step, "
        "and which single changes would save most.",
        options=(
            JOB,
            Option(name="set", kind=TEXTS, meaning='Values that are others, each "KEY=VALUE".'),
            PLAN,
            CALIBRATION,
        ),
        is_long=False,
        result="WhatIf",
        example={"job": EXAMPLE_JOB, "set": ["links.*.bandwidth=20 Gbit/s"]},
    ),
    Verb(
        name="simulate",
        path="/api/v1/simulate",
        summary="Play one step of the job's plan",
        description="Who works, waits and sends when. Without a plan the best is searched. With `Accept: "
        "application/gzip` the answer is the timeline as a file for ui.perfetto.dev, packed by gzip.",
        options=(
            JOB,
            PLAN,
            Option(
                name="detail",
                kind=WHOLE,
                meaning="Also the timeline in at most this many slices, neighbours merged.",
                most=MOST_SLICES,
            ),
            HYPOTHETICAL,
            CALIBRATION,
        ),
        is_long=True,
        result="Simulation",
        is_file_too=True,
        example={"job": EXAMPLE_JOB, "detail": 200},
    ),
    Verb(
        name="ranks",
        path="/api/v1/ranks",
        summary="Show which rank of a plan is on which GPU",
        description="Every zone with what it holds of the plan, and its nodes with the place of each GPU in the grid "
        "of ranks, as `deploy` starts them. The plan is not predicted.",
        options=(
            JOB,
            PLAN,
            Option(name="zone", kind=TEXT, meaning="List the nodes of this zone alone."),
        ),
        is_long=False,
        result="RankMap",
        example={"job": EXAMPLE_JOB, "zone": "east"},
    ),
    Verb(
        name="report",
        path="/api/v1/report",
        summary="Give the plans of a job as one file that opens without a server",
        description="HTML that shows what the web user interface shows of a plan, in English and Chinese, and asks "
        "nothing of any network. It takes as long as `plan` with `sensitivity`.",
        options=(
            JOB,
            Option(name="chosen", kind=WHOLE, meaning="Which of the ranked plans it is about; 1.", most=MOST_PLANS),
            CALIBRATION,
        ),
        is_long=True,
        result="",
        example={"job": EXAMPLE_JOB},
    ),
    Verb(
        name="deploy",
        path="/api/v1/deploy",
        summary="Give the files that run the job's plan as they are",
        description="JSON with the texts of all files, or, with `Accept: application/gzip`, a tar.gz of the folder "
        "`bundle`. Nothing is kept.",
        options=(
            JOB,
            Option(
                name="framework",
                kind=TEXT,
                meaning="ddp, fsdp, deepspeed, megatron, torchtitan or horovod; the plan's or job's if left out.",
            ),
            Option(
                name="backend",
                kind=TEXT,
                meaning="local, bare, ssh, mpi, slurm, kubernetes or skypilot.",
                is_required=True,
            ),
            PLAN,
            Option(name="entry", kind=TEXT, meaning="Text of a program of your own in place of our trainer."),
            Option(name="arguments", kind=TEXTS, meaning="Passed on to `entry`."),
            *_RENDERED,
            Option(name="port", kind=WHOLE, meaning="Where ranks meet; 29500.", most=65535),
            Option(name="zone", kind=TEXT, meaning="Only the piece of this zone."),
            CALIBRATION,
        ),
        is_long=True,
        result="Bundle",
        is_file_too=True,
        example={
            "job": EXAMPLE_JOB,
            "framework": "megatron",
            "backend": "kubernetes",
            "steps": 10,
            "checkpoints": "none",
        },
    ),
    Verb(
        name="deploy_cells",
        path="/api/v1/deploy/cells",
        summary="Tell which framework may be rendered over which backend, and why not",
        description="No plan is searched: what the plan of a cell cannot do is told when it is rendered.",
        options=(JOB, *_RENDERED, CALIBRATION),
        is_long=False,
        result="DeployCells",
        example={"job": EXAMPLE_JOB},
    ),
    Verb(
        name="validate",
        path="/api/v1/validate",
        summary="Compare predictions with measured runs",
        description="The table is the body itself, as text/csv, or `table` of a JSON body.",
        options=(
            Option(name="table", kind=TEXT, meaning="The text of a CSV table of measured runs.", is_required=True),
            Option(name="all_qualities", kind=FLAG, meaning="Count rows of quality C too."),
            CALIBRATION,
        ),
        is_long=True,
        result="Validation",
        example={"table": TABLE_EXAMPLE},
    ),
    Verb(
        name="compare",
        path="/api/v1/compare",
        summary="Put saved predictions, plans and runs side by side",
        description="Every value of each, row by row. Of an answer of `plan` the first plan counts.",
        options=(
            Option(
                name="results",
                kind=OBJECTS,
                meaning="Two to twenty predictions, plans with their predictions, or answers of plan.",
                is_required=True,
            ),
            Option(name="names", kind=TEXTS, meaning="What to call them, in the same order; their places if left out."),
        ),
        is_long=False,
        result="SideBySide",
        example={"results": [{"step_seconds": 2.0}, {"step_seconds": 1.5}], "names": ["before", "after"]},
    ),
    Verb(
        name="older_deploy",
        path="/api/deploy",
        summary="Give the files that run a plan, for clients of CrossZoneLLM",
        description="The request of CrossZoneLLM, and what it did not ask for as options. Nothing is kept: the files "
        "are in the answer. What is filled in is listed as assumed.",
        options=(
            Option(name="regions", kind=WHOLE, meaning="How many regions.", is_required=True, most=MOST_WHOLES),
            Option(
                name="gpusPerRegion",
                kind=WHOLES,
                meaning="The GPUs of each region.",
                is_required=True,
                most=MOST_GPUS,
            ),
            *_OLDER_PLAN,
            Option(
                name="batchSize",
                kind=WHOLE,
                meaning="Sequences of a step, of all regions.",
                is_required=True,
                most=10**9,
            ),
            *_OLDER_OPTIONS,
            Option(name="bandwidth", kind=TEXT, meaning="Of every link between two regions, as 10 Gbit/s."),
            Option(name="rtt", kind=TEXT, meaning="Of every link between two regions, as 30 ms."),
        ),
        is_long=True,
        result="OlderDeployment",
        example={
            "regions": 2,
            "gpusPerRegion": [8, 8],
            "modelSize": 7,
            "batchSize": 64,
            "dp": 16,
            "pp": 1,
            "tp": 1,
        },
        is_older=True,
    ),
    Verb(
        name="older_script",
        path="/api/generate_training_script",
        summary="Give a training script, for clients of CrossZoneLLM",
        description="The script with the files that it needs, for the GPUs of one region.",
        options=(
            *_OLDER_PLAN,
            Option(name="batchSize", kind=WHOLE, meaning="Sequences of a step; one a GPU if left out.", most=10**9),
            *_OLDER_OPTIONS,
        ),
        is_long=True,
        result="OlderScript",
        example={"modelSize": 7, "dp": 8, "pp": 1, "tp": 1},
        is_older=True,
    ),
)
