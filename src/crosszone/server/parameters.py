"""Parameters of addresses: what a route does not know is refused, as an unknown key of a body is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from crosszone.errors import Finding, nearest_hint
from crosszone.server.problems import INVALID, Refused

MOST_CHARACTERS = 100
"""Of a name that is told again."""


class StrictRoute(APIRoute):
    """A route that refuses parameters that it does not take: who misspells a filter is not answered without it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handled = super().get_route_handler()
        known = frozenset(field.alias for field in self.dependant.query_params)

        async def answered(request: Request) -> Response:
            _check(request.query_params.keys(), known)
            return await handled(request)

        return answered


def _check(said: Collection[str], known: Collection[str]) -> None:
    unknown = [name[:MOST_CHARACTERS] for name in dict.fromkeys(said) if name not in known]
    if unknown:
        raise Refused(INVALID, *(_finding(name, known) for name in unknown))


def _finding(name: str, known: Collection[str]) -> Finding:
    hint = nearest_hint(name, known) or ("" if known else "Leave it out: this address takes none.")
    return Finding(code="unknown_parameter", message=f'unknown parameter "{name}".', where=name, hint=hint)
