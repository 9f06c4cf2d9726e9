"""`crosszone init`: the first job file."""

from crosszone import service


def test_without_a_path_it_goes_to_stdout(run) -> None:
    assert run("init").out == service.starter_job() == run("init", "-").out


def test_writes_a_file_and_says_what_is_next(run, tmp_path) -> None:
    path = tmp_path / "job.yaml"
    result = run("init", str(path))
    assert result.code == 0
    assert path.read_text(encoding="utf-8") == service.starter_job()
    assert f"crosszone plan {path}" in result.err
    assert result.out == ""


def test_never_overwrites_unless_told(run, tmp_path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("mine")
    refused = run("init", str(path), "--json")
    assert refused.code == 2
    assert refused.json["errors"][0]["code"] == "exists"
    assert "--force" in refused.json["errors"][0]["hint"]
    assert path.read_text() == "mine"
    assert run("init", str(path), "--force").code == 0
    assert path.read_text(encoding="utf-8") == service.starter_job()


def test_json_names_the_path(run, tmp_path) -> None:
    path = tmp_path / "job.yaml"
    assert run("init", str(path), "--json").json == {"path": str(path), "text": service.starter_job()}
    assert run("init", "--json").json == {"path": None, "text": service.starter_job()}


def test_folder_that_is_not_there_fails(run, tmp_path) -> None:
    assert run("init", str(tmp_path / "nowhere" / "job.yaml")).code == 2


def test_template_is_written_as_it_is(run, tmp_path) -> None:
    path = tmp_path / "job.yaml"
    assert run("init", "--template", "medium", str(path)).code == 0
    assert path.read_text(encoding="utf-8") == service.job_template("medium").text


def test_unknown_template_is_told_the_nearest(run) -> None:
    result = run("init", "--template", "mediun", "--json")
    assert result.code == 2
    assert result.json["errors"][0]["hint"].startswith('Did you mean "medium"')


def test_list_names_every_template(run) -> None:
    templates = run("init", "--list", "--json").json["templates"]
    assert [one["name"] for one in templates] == [one.name for one in service.job_templates()]
    text = run("init", "--list").out
    assert all(one["name"] in text for one in templates)
