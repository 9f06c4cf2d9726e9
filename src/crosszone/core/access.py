"""Who asks for something, and what they may do."""

from dataclasses import dataclass

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"
SCOPES = (VIEWER, OPERATOR, ADMIN)
"""Each may do what those before it may: look and compute; create, change and stop; hand out tokens and quotas."""
LOCAL = "local"
"""Who asks without a token where none is needed: anybody on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks."""

    actor: str
    """As the audit log, tasks and quotas call them: PERSON or TEAM/PERSON."""
    scope: str
    """One of `SCOPES`."""
    expires_seconds: float | None = None
    """Since 1970, UTC; None: never."""

    def may(self, scope: str) -> bool:
        """Whether they may do what asks for a scope."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


def covers(name: str, owner: str) -> bool:
    """Whether what is said of `name` is said of `owner` too: a team is said with all of its people."""
    return name == owner or owner.startswith(f"{name}/")


def named_with(owner: str) -> tuple[str, ...]:
    """All names that cover an owner: themselves, and the team that they are of."""
    parts = owner.split("/")
    return tuple("/".join(parts[:length]) for length in range(len(parts), 0, -1))
