"""Routes of the inventory."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from crosszone import service
from crosszone.core.environment import EnvironmentFilter
from crosszone.errors import Finding
from crosszone.server.body import object_request
from crosszone.server.openapi import API_PATH, operation
from crosszone.server.problems import INVALID, UNAVAILABLE, Refused
from crosszone.server.stored import Stored, expected_version, noun_response, page_response
from crosszone.service.inventory import ASKED

PATH = f"{API_PATH}/environments"
MOST_IDS = 10_000
Words = Annotated[list[str], Query(max_length=100)]
Text = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=2000)]


def add_environment_routes(app: FastAPI, stored: Stored, *, reaches_out: bool = True) -> None:
    """Add what answers for environments and the paths between their zones.

    `reaches_out`: whether a request may let this machine ask others, over ssh, by Slurm and by kubectl.
    """
    _add_list(app, stored)
    _add_many(app, stored, reaches_out)  # before those of one environment, whose id could be any of these words
    _add_one(app, stored)
    _add_links(app, stored)


def _add_list(app: FastAPI, stored: Stored) -> None:
    async def listed(
        request: Request,
        zone: Words = [],  # noqa: B006 - FastAPI copies it
        gpu: Words = [],  # noqa: B006
        status: Words = [],  # noqa: B006
        kind: Words = [],  # noqa: B006
        framework: Words = [],  # noqa: B006
        text: Text = "",
        sort: Text = "name",
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        wanted = EnvironmentFilter(
            zones=tuple(zone),
            gpus=tuple(gpu),
            statuses=tuple(status),
            kinds=tuple(kind),
            frameworks=tuple(framework),
            text=text,
        )
        return page_response(
            request, await stored.ask(service.environments, wanted, sort=sort, limit=limit, cursor=cursor)
        )

    async def add(request: Request) -> Response:
        entry = await object_request(request)
        made = await stored.change(request, "environment_add", 201, service.add_environment, entry, body=entry)
        return noun_response(made, status=201, headers={"Location": f"{PATH}/{made.id}"})

    app.add_api_route(PATH, listed, methods=["GET"], **operation("environment_list"))
    app.add_api_route(PATH, add, methods=["POST"], **operation("environment_add"))


def _add_one(app: FastAPI, stored: Stored) -> None:
    async def one(environment_id: str) -> Response:
        return noun_response(await stored.ask(service.environment, environment_id))

    async def change(request: Request, environment_id: str) -> Response:
        expected, entry = expected_version(request), await object_request(request)
        told = (request, "environment_change", 200)
        what = (service.change_environment, environment_id, entry)
        changed = await stored.change(*told, *what, target=environment_id, expected_version=expected, body=entry)
        return noun_response(changed)

    async def remove(request: Request, environment_id: str) -> Response:
        told = (request, "environment_remove", 204)
        expected = expected_version(request)
        what = (service.remove_environment, environment_id)
        await stored.change(*told, *what, target=environment_id, expected_version=expected)
        return Response(status_code=204)

    path = f"{PATH}/{{environment_id}}"
    app.add_api_route(path, one, methods=["GET"], **operation("environment"))
    app.add_api_route(path, change, methods=["PATCH"], **operation("environment_change"))
    app.add_api_route(path, remove, methods=["DELETE"], **operation("environment_remove"))


def _add_many(app: FastAPI, stored: Stored, reaches_out: bool) -> None:
    async def read(request: Request) -> Response:
        asked = await object_request(request)
        kinds = {"format": str, "text": str, "defaults": dict, "try": bool}
        _check(asked, kinds, required=("format",))
        more = {"defaults": asked.get("defaults"), "is_tried": asked.get("try", False)}
        if asked["format"] in ASKED and "text" not in asked and reaches_out:
            found = await _of_scheduler(stored, more, asked)
            await stored.note(request, "environment_import", asked["format"])
            return noun_response(found)
        told = (request, "environment_import", 200)
        what = (service.import_environments, asked.get("text", ""), asked["format"])
        return noun_response(await stored.change(*told, *what, target=asked["format"], **more, body=asked))

    async def probe(request: Request) -> Response:
        asked = await object_request(request)
        _check(asked, {"ids": list}, required=("ids",))
        found = await stored.ask(service.probe_environments, _ids(asked), body=asked)
        await stored.note(request, "environment_probe", " ".join(asked["ids"]))
        return noun_response(found)

    async def cluster(request: Request) -> Response:
        asked = await object_request(request)
        _check(asked, {"ids": list, "main_node": str}, required=("ids",))
        return noun_response(
            await stored.ask(service.chosen_cluster, _ids(asked), main_node=asked.get("main_node"), body=asked)
        )

    async def paths(request: Request) -> Response:
        asked = await object_request(request)
        _check(asked, {"ids": list}, required=("ids",))
        found = await stored.ask(service.environment_paths, _ids(asked), body=asked)
        return noun_response({"schema_version": 1, "paths": found})

    looking = [("probe", probe)] if reaches_out else []
    for name, route in (("import", read), *looking, ("cluster", cluster), ("paths", paths)):
        app.add_api_route(f"{PATH}/{name}", route, methods=["POST"], **operation(f"environment_{name}"))


async def _of_scheduler(stored: Stored, more: dict[str, Any], asked: dict[str, Any]) -> Any:
    """What a scheduler says that the server reaches. Where there is none, to ask for it was wrong, and will be."""
    try:
        return await stored.ask(service.import_asked, asked["format"], **more, body=asked)
    except Refused as refusal:
        if refusal.kind is UNAVAILABLE:
            raise Refused(INVALID, *refusal.findings, body=asked) from None
        raise


def _add_links(app: FastAPI, stored: Stored) -> None:
    async def links() -> Response:
        return noun_response({"schema_version": 1, "links": await stored.ask(service.zone_links)})

    async def keep(request: Request) -> Response:
        asked = await object_request(request)
        _check(asked, {"from": str, "to": str, "path": dict, "both": bool}, required=("from", "to", "path"))
        ends = (asked["from"], asked["to"])
        told = (request, "zone_link_set", 204)
        what = (service.set_zone_link, *ends, asked["path"])
        await stored.change(*told, *what, target=" → ".join(ends), is_both=asked.get("both", True), body=asked)
        return Response(status_code=204)

    app.add_api_route(f"{API_PATH}/zone-links", links, methods=["GET"], **operation("zone_links"))
    app.add_api_route(f"{API_PATH}/zone-links", keep, methods=["PUT"], **operation("zone_link_set"))


def _check(asked: dict[str, Any], kinds: dict[str, type], required: tuple[str, ...]) -> None:
    """Refused with every key that is unknown, missing or of another type."""
    called = {str: "text", bool: "true or false", dict: "an object", list: "a list"}
    findings = [
        Finding(code="unknown_key", message=f'unknown key "{key[:50]}".', where=key)
        for key in asked
        if key not in kinds
    ]
    findings += [
        Finding(code="wrong_type", message=f"{key} is not {called[kinds[key]]}.", where=key)
        for key, value in asked.items()
        if key in kinds and not isinstance(value, kinds[key])
    ]
    findings += [
        Finding(code="missing_key", message=f"{key} is missing.", where=key) for key in required if key not in asked
    ]
    if findings:
        raise Refused(INVALID, *findings, body=asked)


def _ids(asked: dict[str, Any]) -> list[str]:
    ids = asked["ids"]
    if len(ids) > MOST_IDS or not all(isinstance(each, str) for each in ids):
        raise Refused.of(INVALID, f"ids is not a list of {MOST_IDS} texts at most.", where="ids", body=asked)
    return list(ids)
