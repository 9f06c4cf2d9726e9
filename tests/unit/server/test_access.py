from __future__ import annotations

import pytest

from crosszone.core.access import ADMIN, LOCAL
from crosszone.errors import SpecError
from crosszone.server.access import Access, access, bearer, is_loopback
from crosszone.server.options import ServeOptions

TOKEN = "t0ken-of-thirty-two-characters-or-more"


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"# ours\n\n{TOKEN}\nanother-token-that-is-long-enough-too\n")
    path.chmod(0o600)
    return path


def findings(**options):
    with pytest.raises(SpecError) as caught:
        access(ServeOptions(**options))
    return {finding.where: finding for finding in caught.value.findings}


def test_loopback_needs_no_token():
    allowed = access(ServeOptions())
    nobody = allowed.nobody()
    assert (nobody.actor, nobody.scope) == (LOCAL, ADMIN)
    assert allowed.has_host("127.0.0.1:8000")
    assert allowed.has_host("LOCALHOST")
    assert allowed.has_host("[::1]:8000")


def test_a_name_that_was_made_to_lead_here_is_no_host():
    assert not access(ServeOptions()).has_host("evil.example:8000")
    assert not access(ServeOptions()).has_host("")
    assert not access(ServeOptions()).has_host("127.0.0.1.evil.example")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gpu.example"])
def test_any_other_address_asks_for_token_and_tls_at_once(host):
    found = findings(host=host)
    assert set(found) == {"--token-file", "--tls-cert"}
    assert "--behind-proxy" in found["--tls-cert"].hint
    assert host in found["--token-file"].message


def test_a_proxy_takes_the_place_of_tls_but_not_of_the_token(token_file):
    assert set(findings(host="0.0.0.0", is_behind_proxy=True)) == {"--token-file"}
    assert set(findings(is_behind_proxy=True)) == {"--token-file"}
    allowed = access(ServeOptions(host="0.0.0.0", is_behind_proxy=True, token_file=token_file))
    assert allowed.has_host("train.example")


def test_every_token_of_the_file_is_taken_and_nothing_else(token_file):
    allowed = access(ServeOptions(token_file=token_file))
    assert allowed.nobody() is None
    assert allowed.caller(bearer(f"Bearer {TOKEN}")).scope == ADMIN
    assert allowed.caller(bearer("bearer another-token-that-is-long-enough-too")).scope == ADMIN
    for wrong in ("", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer", "Bearer # ours", "Bearer \udcff"):
        assert allowed.caller(bearer(wrong)) is None


def test_tokens_are_kept_as_digests_alone(token_file):
    assert TOKEN not in repr(access(ServeOptions(token_file=token_file)))


def test_a_token_file_that_others_can_read_is_refused(token_file):
    token_file.chmod(0o640)
    found = findings(token_file=token_file)[str(token_file)]
    assert "640" in found.message
    assert "chmod 600" in found.hint


def test_short_tokens_are_refused_by_line_and_length_not_by_text(tmp_path):
    path = tmp_path / "token"
    path.write_text("secret\n")
    path.chmod(0o600)
    message = findings(token_file=path)[str(path)].message
    assert "line 1 has 6 characters" in message
    assert "secret" not in message


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe"])
def test_a_file_without_token_is_refused(tmp_path, content):
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    assert "secrets.token_urlsafe" in findings(token_file=path)[str(path)].hint


def test_a_token_file_that_is_not_there_is_told_beside_the_rest(tmp_path):
    missing = tmp_path / "none"
    assert set(findings(host="0.0.0.0", token_file=missing)) == {str(missing), "--tls-cert"}


def test_half_of_a_certificate_is_refused(tmp_path):
    assert "--tls-key" in findings(tls_certificate=tmp_path / "a")
    assert "--tls-cert" in findings(tls_key=tmp_path / "a")


def test_a_certificate_that_is_none_is_refused_before_anything_listens(tmp_path):
    for name in ("cert", "key"):
        (tmp_path / name).write_text("no PEM")
    found = findings(tls_certificate=tmp_path / "cert", tls_key=tmp_path / "key")["--tls-cert"]
    assert "PEM" in found.hint


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize(("host", "expected"), [("0.0.0.0", True), ("[::]", True), ("10.0.0.7", False), ("a", False)])
def test_everywhere_is_no_address_that_a_person_could_open(host, expected):
    assert ServeOptions(host=host).is_everywhere is expected


def test_an_access_without_names_answers_for_all():
    assert Access(host_names=None).has_host("anything")
