"""What `crosszone serve` is told."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from crosszone.core.retention import Retention

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
MOST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How the server is reached, and what it may use."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    """0: any free one."""
    token_file: Path | None = None
    """Tokens, one a line, beside those of the database."""
    is_token_asked: bool = False
    """Whether a token is asked for where it need not be: of the users of this machine."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    is_behind_proxy: bool = False
    """Whether a proxy on this machine ends TLS."""
    is_demo: bool = False
    """Whether anybody may ask, and nothing is kept."""
    database: str | None = None
    """Address of the database; None: this user's own."""
    is_driving: bool = True
    """Whether it starts a worker, which drives the tasks."""
    num_workers: int | None = None
    """Processes for quick questions, and as many for long ones; None: one a core."""
    retention: Retention = field(default_factory=Retention)
    """How long what is over is kept."""
    as_json: bool = False
    """Whether the log is JSON lines."""

    @property
    def is_everywhere(self) -> bool:
        """Whether it listens at all addresses of this machine: `host` is then none that a person could open."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_unspecified
        except ValueError:
            return False
