"""Every route gives what the command prints."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crosszone import service
from crosszone.cli.app import program
from crosszone.server.app import load
from crosszone.server.pools import Pools

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples/single-zone-llama-3-8b-8xh100.yaml"
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.yaml"))
TABLE = "id,model,gpu,n_gpus,gpus_per_node,tp,pp,dp,seq_len,global_batch,micro_batch,step_seconds\n"


def printed(*arguments):
    """What a command prints with --json."""
    result = CliRunner().invoke(program(), [*map(str, arguments), "--json"])
    return json.loads(result.stdout)


def same(value, other):
    """Whether two values are the same text as JSON, the clock apart."""
    for each in (value, other):
        each.get("search", {}).pop("elapsed_seconds", None)
    return json.dumps(value) == json.dumps(other)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_predictions_are_those_of_the_command(post, path):
    text = path.read_text(encoding="utf-8")
    result = CliRunner().invoke(program(), ["predict", str(path), "--json"])
    response = post("predict", {"job": text})
    if result.exception is None or isinstance(result.exception, SystemExit):
        assert response.status_code == 200
        assert same(response.json(), json.loads(result.stdout))
    else:  # an error that only `main` turns into JSON
        assert response.status_code == 422
        told = [(each["code"], each["message"], each["hint"]) for each in response.json()["errors"]]
        assert told == [(each.code, each.message, each.hint) for each in result.exception.findings]


def test_plans_are_those_of_the_command(post, example):
    assert same(post("plan", {"job": example, "top": 2}).json(), printed("plan", EXAMPLE, "--top", 2))


def test_why_is_that_of_the_command(post, example):
    asked = "tp=8"
    assert same(post("plan", {"job": example, "why": asked}).json(), printed("plan", EXAMPLE, "--why", asked))


def test_frameworks_are_those_of_the_command(post, example):
    assert same(post("plan", {"job": example, "frameworks": True}).json(), printed("plan", EXAMPLE, "--frameworks"))


def test_changes_are_those_of_the_command(post, example):
    setting = "workload.sequence_length=4096"
    assert same(post("whatif", {"job": example, "set": [setting]}).json(), printed("whatif", EXAMPLE, "--set", setting))
    assert same(post("whatif", {"job": example}).json(), printed("whatif", EXAMPLE))


def test_timelines_are_those_of_the_command(post, example):
    assert same(post("simulate", {"job": example, "detail": 20}).json(), printed("simulate", EXAMPLE, "--detail", 20))


def test_saved_plans_are_sent_whole(post, example):
    answer = post("plan", {"job": example, "top": 2}).json()
    whole, alone = (post("simulate", {"job": example, "plan": each}).json() for each in (answer, answer["plans"][0]))
    assert whole == alone == post("simulate", {"job": example, "plan": answer["plans"][0]["plan"]}).json()
    assert whole["plan"] == answer["plans"][0]["plan"]


def test_bundles_are_those_of_the_command(post, example, tmp_path):
    options = {"framework": "fsdp", "backend": "bare", "steps": 3, "checkpoints": "none"}
    value = post("deploy", {"job": example, **options}).json()
    flags = [text for key, each in options.items() for text in (f"--{key}", each)]
    command_value = printed("deploy", EXAMPLE, "-o", tmp_path / "b", *flags)
    for file in value["files"]:
        assert (tmp_path / "b" / file["path"]).read_text(encoding="utf-8") == file.pop("text")
    assert {**value, "changes": None} == {**command_value, "changes": None}


def test_a_bundle_as_an_archive_has_the_same_files_and_bytes(post, example):
    body = {"job": example, "framework": "fsdp", "backend": "bare", "steps": 3, "checkpoints": "none"}
    headers = {"Accept": "application/gzip"}
    response = post("deploy", body, headers=headers)
    assert response.headers["content-type"] == "application/gzip"
    assert response.content == post("deploy", body, headers=headers).content
    files = post("deploy", body).json()["files"]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(response.content))) as archive:
        packed = {member.name: member for member in archive.getmembers()}
        assert packed.keys() == {f"bundle/{file['path']}" for file in files}
        for file in files:
            member = packed[f"bundle/{file['path']}"]
            assert archive.extractfile(member).read().decode() == file["text"]
            assert bool(member.mode & 0o100) == file["is_executable"]


def test_settings_of_a_job_go_into_its_text_and_null_takes_a_key_away(post):
    text = "model: llama-3-8b  # ours\nplan: {tp: 2, dp: 4}\n"
    value = post("job", {"job": text, "set": ["plan.tp=4", "plan.dp=null"]}).json()
    assert value["job"]["plan"] == {"tp": 4}
    assert value["text"] == "model: llama-3-8b  # ours\nplan: {tp: 4}\n"
    wrong = post("job", {"job": text, "set": ["plan.tp"]})
    assert (wrong.status_code, wrong.json()["errors"][0]["where"]) == (422, "plan.tp")


def test_a_timeline_as_a_file_is_that_of_the_command(post, example, tmp_path):
    response = post("simulate", {"job": example}, headers={"Accept": "application/gzip"})
    assert "trace.json.gz" in response.headers["content-disposition"]
    printed("simulate", EXAMPLE, "-o", tmp_path / "trace.json")
    assert gzip.decompress(response.content) == (tmp_path / "trace.json").read_bytes()


def test_a_program_of_ones_own_is_sent_as_text(post, example):
    body = {"job": example, "framework": "fsdp", "backend": "bare", "entry": "print(1)\n", "arguments": ["--x"]}
    files = {file["path"]: file["text"] for file in post("deploy", body).json()["files"]}
    assert "print(1)\n" in files.values()


def test_tables_are_validated_as_text_and_as_json(ask, post):
    table = TABLE + "r1,llama-3-8b,h100-sxm5-80gb,8,8,1,1,8,8192,128,1,10.0\n"
    as_json = post("validate", {"table": table})
    as_text = ask("POST", "/api/v1/validate", content=table.encode(), headers={"Content-Type": "text/csv"})
    assert as_json.status_code == as_text.status_code == 200
    expected = service.validation_json(service.validate_bytes(table.encode(), where="table"))
    assert as_json.json() == as_text.json() == expected
    assert as_json.json()["summary"]["num_table_rows"] == 1


def test_a_table_that_is_none_is_refused(post, ask):
    assert post("validate", {"table": "a,b\n1,2\n"}).status_code == 422
    response = ask("POST", "/api/v1/validate", content=b"\xff", headers={"Content-Type": "text/csv"})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "malformed")


def test_the_schema_is_that_of_the_job_file(ask):
    response = ask("GET", "/api/v1/schema")
    assert response.json() == service.job_schema()
    again = ask("GET", "/api/v1/schema", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("kind", ["gpus", "models", "regions", "frameworks", "prices"])
def test_catalogs_are_those_of_the_command_whole_and_in_pages(ask, kind):
    whole = ask("GET", f"/api/v1/catalog/{kind}").json()
    assert same(dict(whole), printed("catalog", kind))
    path, entries = f"/api/v1/catalog/{kind}?limit=17", []
    while path:
        response = ask("GET", path)
        assert len(response.json()[kind]) <= 17
        entries += response.json()[kind]
        path = response.links.get("next", {}).get("url")
    assert entries == whole[kind]


def test_one_entry_by_name_and_alias(ask):
    assert ask("GET", "/api/v1/catalog/gpus/a100-sxm4-80gb").json() == printed("catalog", "gpus", "a100-sxm4-80gb")
    assert ask("GET", "/api/v1/catalog/regions/alibaba").json() == printed("catalog", "regions", "alibaba")


@pytest.mark.parametrize("path", ["gpus/h1000", "regions/nowhere:x", "planets", "planets/mars"])
def test_unknown_names_are_not_found(ask, path):
    response = ask("GET", f"/api/v1/catalog/{path}")
    assert response.status_code == 404
    assert response.json()["type"].endswith(":not-found")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=100000", "cursor=!!", "cursor=eA"])
def test_pages_that_are_none_are_refused(ask, query):
    response = ask("GET", f"/api/v1/catalog/gpus?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["where"] == query.partition("=")[0]


def test_parameters_that_a_route_does_not_take_are_refused_all_at_once(ask):
    response = ask("GET", "/api/v1/catalog/gpus?limti=9&limit=9&colour=red&colour=blue")
    assert response.status_code == 422
    errors = response.json()["errors"]
    assert [(each["code"], each["where"]) for each in errors] == [
        ("unknown_parameter", "limti"),
        ("unknown_parameter", "colour"),
    ]
    assert errors[0]["hint"] == 'Did you mean "limit"?'
    assert ask("GET", "/api/v1/schema?x=1").json()["errors"][0]["hint"] == "Leave it out: this address takes none."
    chinese = ask("GET", "/api/v1/catalog/gpus?limti=9", headers={"Accept-Language": "zh"}).json()
    assert chinese["errors"][0]["message"] == '未知的参数 "limti"。'


def test_what_is_watched(ask):
    assert ask("GET", "/healthz").json() == ask("GET", "/readyz").json() == {"status": "ok"}
    assert ask("GET", "/healthz?at=1763755200").json() == {"status": "ok"}, "a probe may add what it likes"
    text = ask("GET", "/metrics").text
    assert 'crosszone_http_requests_total{method="GET",route="/healthz",status="200"}' in text
    assert 'crosszone_pending_requests{pool="quick"} 0.0' in text


def test_a_plan_that_does_not_fit_is_an_answer(post):
    job = json.loads(json.dumps(SMALL))
    job["model"], job["plan"] = "llama-3.1-405b", {"tp": 8, "pp": 1, "dp": 1}
    response = post("predict", {"job": job})
    assert response.status_code == 200
    assert response.json()["memory"]["fits"] is False


def test_an_infeasible_request_is_422_of_a_type_of_its_own(post):
    response = post(
        "deploy", {"job": {**SMALL, "model": "llama-3.1-405b"}, "framework": "ddp", "backend": "bare", "steps": 3}
    )
    assert response.status_code == 422
    assert response.json()["type"] == "urn:crosszone:problem:infeasible"


SMALL = {
    "model": "llama-3-8b",
    "workload": {"sequence_length": 8192, "global_batch_size": 8},
    "cluster": {"zones": [{"name": "a", "nodes": [{"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": 8}]}]},
}


def test_no_request_names_a_file(post, tmp_path):
    secret = tmp_path / "config.json"
    secret.write_text('{"secret": 1}')
    plans = tmp_path / "PLANS.json"
    plans.write_text(json.dumps(post("plan", {"job": SMALL}).json()))
    asked = [
        ("predict", {"job": {**SMALL, "model": str(secret)}}),
        ("predict", {"job": str(secret)}),
        ("predict", {"job": f"model: {secret}\n"}),
        ("whatif", {"job": SMALL, "set": [f"model={secret}"]}),
        ("whatif", {"job": SMALL, "plan": str(plans)}),
        ("plan", {"job": SMALL, "why": str(plans)}),
        ("plan", {"job": SMALL, "why": f"{plans}#1"}),
        ("predict", {"job": SMALL, "calibration": str(secret)}),
        ("deploy", {"job": SMALL, "framework": "fsdp", "backend": "local", "data": "tokens.bin"}),
        ("deploy", {"job": SMALL, "framework": "fsdp", "backend": "local", "checkpoints": "../x"}),
        ("validate", {"table": str(secret)}),
    ]
    for verb, body in asked:
        response = post(verb, body)
        assert response.status_code == 422, (verb, body)
        assert "secret" not in response.text.replace(str(secret), "")


def test_a_program_is_text_and_no_path(post, tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_text("PASSWORD = 1\n")
    body = {"job": SMALL, "framework": "fsdp", "backend": "bare", "entry": str(secret)}
    assert "PASSWORD" not in post("deploy", body).text


def test_a_calibration_is_sent_whole_and_its_errors_have_pointers(post):
    response = post("predict", {"job": SMALL, "calibration": {"schema_version": 1, "calibrations": [{"gpu": 3}]}})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith("/calibration/calibrations/0")


def test_the_archive_is_not_asked_for_by_a_key(post):
    response = post("deploy", {"job": SMALL, "framework": "fsdp", "backend": "bare", "archive": True})
    assert response.status_code == 422


def test_quick_workers_load_before_long_ones_take_the_processors():
    told = []

    class Loading:
        def __init__(self, name):
            self.name = name

        async def start(self):
            told.append(f"{self.name} begins")
            await asyncio.sleep(0)
            told.append(f"{self.name} is ready")

    asyncio.run(load(Pools(quick=Loading("quick"), long=Loading("long"))))
    assert told == ["quick begins", "quick is ready", "long begins", "long is ready"]


def test_the_guide_asks_one_question_after_another_until_there_is_a_job(post):
    given = {"model": "llama-3-8b", "gpu": "h100-sxm5-80gb", "zones": "1", "nodes_1": "1"}
    answers = []
    while (asked := post("guide", {"answer": answers}).json())["question"] is not None:
        key = asked["question"]["key"]
        assert len(answers) < 40
        answers.append(f"{key}={given.get(key, '')}")
    assert asked["answers"]["gpu"] == "h100-sxm5-80gb"
    assert post("predict", {"job": asked["job"]}).json()["memory"]["fits"] is True


def test_the_guide_refuses_more_answers_than_it_has_questions(post):
    response = post("guide", {"answer": ["model=llama-3-8b"] * 1000})
    assert response.status_code == 422
    assert response.json()["errors"][0]["message"].startswith("1000 answers, where ")


def test_the_guide_refuses_an_answer_to_another_question_and_an_illegal_one(post):
    wrong = post("guide", {"answer": ["gpu=h100-sxm5-80gb"]}).json()
    assert '"model" is asked' in wrong["detail"]
    illegal = post("guide", {"answer": ["model=llama-3-8b", "sequence_length=-1"]})
    assert illegal.status_code == 422


def test_a_job_is_given_in_both_forms_with_all_that_is_wrong(post, example):
    read = post("job", {"job": example}).json()
    assert (read["text"], read["errors"]) == (example, [])
    read["job"]["workload"]["global_batch_size"] = "many"
    written = post("job", {"job": read["job"], "like": example}).json()
    assert written["text"].partition("\n")[0] == example.partition("\n")[0]
    assert [error["where"] for error in written["errors"]] == ["workload.global_batch_size"]
    assert post("job", {"job": "a: [", "like": ""}).status_code == 422
