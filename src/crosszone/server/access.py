"""Who may ask: on loopback everybody on this machine, elsewhere who has a token, over TLS."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from crosszone.core.access import ADMIN, LOCAL, OPERATOR, Caller
from crosszone.errors import Finding, SpecError
from crosszone.server.options import ServeOptions

FEWEST_CHARACTERS = 32
"""Of a token: 24 random bytes in base64 have as many."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
NUM_DIGEST_CHARACTERS = 12
"""Of a token of the file, in the name of who shows it: they tell tokens apart and give none away."""
HOW_TO_MAKE_ONE = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))" > token && chmod 600 token'
HOW_TO_GIVE_ONE = f"crosszone tokens create NAME --scope admin, or give --token-file FILE; make one: {HOW_TO_MAKE_ONE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a request must show."""

    token_digests: tuple[bytes, ...] = ()
    """SHA-256 of each token of the file."""
    is_token_asked: bool = False
    """Whether a token is asked for although none is of the file: those of the database are then taken."""
    open_scope: str = ADMIN
    """What who shows none may do, where none is needed."""
    host_names: frozenset[str] | None = LOCAL_NAMES
    """What the Host header may say; None: anything, because a token is asked for. Without a token, a page that makes
    its own name lead to this machine would otherwise be answered (DNS rebinding)."""

    @property
    def is_token_needed(self) -> bool:
        """Whether requests must show a token: one of the file, or of the database."""
        return self.is_token_asked or bool(self.token_digests)

    def has_host(self, header: str) -> bool:
        """Whether a request with this Host header is meant for us."""
        return self.host_names is None or _host_name(header) in self.host_names

    def caller(self, token: str) -> Caller | None:
        """Who shows a token of the file, compared with every one in constant time; None where it is none of them."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        found = [hmac.compare_digest(digest, known) for known in self.token_digests]
        name = f"token-{digest.hex()[:NUM_DIGEST_CHARACTERS]}"
        return Caller(actor=name, scope=ADMIN) if any(found) else None

    def nobody(self) -> Caller | None:
        """Who asks without a token that is known; None where they may not."""
        return None if self.is_token_needed else Caller(actor=LOCAL, scope=self.open_scope)


def bearer(authorization: str) -> str:
    """The token that an Authorization header shows; empty where it shows none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def access(options: ServeOptions, *, has_stored_token: bool = False) -> Access:
    """What requests must show. SpecError with everything that keeps the server from starting safely.

    `has_stored_token`: whether the database has a token that may be shown. A demonstration is for everybody: it keeps
    nothing, so that it needs no token.
    """
    findings = [*_exposure_findings(options, has_stored_token), *_tls_findings(options)]
    digests: tuple[bytes, ...] = ()
    if options.token_file is not None:
        try:
            digests = _token_digests(options.token_file)
        except SpecError as error:
            findings += error.findings
    if findings:
        raise SpecError(*findings)
    is_asked = (options.is_token_asked or _is_exposed(options)) and not options.is_demo
    is_for_any_host = is_asked or bool(digests) or options.is_demo
    return Access(
        token_digests=digests,
        is_token_asked=is_asked,
        open_scope=OPERATOR if options.is_demo else ADMIN,
        host_names=None if is_for_any_host else LOCAL_NAMES | {options.host.lower()},
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_exposed(options: ServeOptions) -> bool:
    """Whether others than this machine's users reach the server."""
    return options.is_behind_proxy or not is_loopback(options.host)


def _exposure_findings(options: ServeOptions, has_stored_token: bool) -> list[Finding]:
    """What is missing where others than this machine's users reach the server, or where tokens are asked for."""
    has_token = options.token_file is not None or has_stored_token or options.is_demo
    if not _is_exposed(options):
        if has_token or not options.is_token_asked:
            return []
        message = "tokens are asked for, and there is none that anybody could show."
        return [Finding(code="no_token", message=message, where="--ask-token", hint=HOW_TO_GIVE_ONE)]
    reach = "a proxy passes on what others send" if is_loopback(options.host) else "other machines reach that address"
    findings = []
    if not has_token:
        message = f"--host is {options.host} and {reach}, but there is no token that they could be asked for."
        findings.append(Finding(code="no_token", message=message, where="--token-file", hint=HOW_TO_GIVE_ONE))
    if options.tls_certificate is None and not options.is_behind_proxy:
        message = f"--host is {options.host} and {reach}, but tokens and jobs would cross the network in clear."
        hint = "Give --tls-cert FILE and --tls-key FILE, or --behind-proxy where a proxy on this machine ends TLS."
        findings.append(Finding(code="no_tls", message=message, where="--tls-cert", hint=hint))
    return findings


def _tls_findings(options: ServeOptions) -> list[Finding]:
    certificate, key = options.tls_certificate, options.tls_key
    if certificate is None and key is None:
        return []
    if certificate is None or key is None:
        given, missing = ("--tls-key", "--tls-cert") if certificate is None else ("--tls-cert", "--tls-key")
        message = f"{given} is given and {missing} is not."
        return [Finding(code="usage", message=message, where=missing, hint="Give both.")]
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        message = f"{certificate} and {key} cannot be used: {reason}."
        hint = "Give a certificate chain and its key, both PEM, the key without a password."
        return [Finding(code="unreadable", message=message, where="--tls-cert", hint=hint)]
    return []


def _token_digests(path: Path) -> tuple[bytes, ...]:
    """SHA-256 of every token in a file. SpecError where others may read it, or there is no good token in it."""
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SpecError.unreadable("token file", str(path), error) from None
    except UnicodeDecodeError:
        raise SpecError.of(
            "the token file is not text.", where=str(path), hint=f"Make one: {HOW_TO_MAKE_ONE}"
        ) from None
    if mode & 0o077:
        message = f"others on this machine may use the token file: its mode is {mode & 0o777:o}."
        raise SpecError.of(message, where=str(path), hint=f"chmod 600 {path}", code="exposed")
    tokens = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
    tokens = [(number, token) for number, token in tokens if token and not token.startswith("#")]
    short = [
        Finding(
            code="weak_token",
            message=f"the token on line {number} has {len(token)} characters; at least {FEWEST_CHARACTERS} are taken.",
            where=str(path),
            hint=f"Make one: {HOW_TO_MAKE_ONE}",
        )
        for number, token in tokens
        if len(token) < FEWEST_CHARACTERS
    ]
    if short:
        raise SpecError(*short)
    if not tokens:
        raise SpecError.of("there is no token in it.", where=str(path), hint=f"Make one: {HOW_TO_MAKE_ONE}")
    return tuple(hashlib.sha256(token.encode()).digest() for _, token in tokens)


def _host_name(header: str) -> str:
    """The name in a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()
