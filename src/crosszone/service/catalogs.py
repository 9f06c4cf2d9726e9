"""What a job file can name, with sources."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from crosszone.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CATALOGS = ("gpus", "models", "regions", "frameworks", "prices", "egress", "links")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One thing that a job file can name."""

    name: str
    """As a job file writes it; of a figure between two places, what it is of."""
    noun: Any
    """`Gpu`, `Model`, `Region`, `Framework`, `GpuPrice`, `EgressPrice` or `RoundTrip`."""
    more: tuple[tuple[str, Any], ...] = ()
    """What the catalog says beside the noun's fields: aliases, a note, counted parameters."""
    facts: tuple[Any, ...] = ()
    """Each figure with its source; empty where one source in the noun stands for all."""


def catalog(kind: str, name: str | None = None) -> tuple[CatalogEntry, ...]:
    """Every entry of one of `CATALOGS`, or the one called `name`. UnknownName.

    `name` of regions may be a provider: all of it; of prices, egress and links it is where they are from.
    """
    entries = {"gpus": _gpus, "models": _models, "regions": _regions, "frameworks": _frameworks}
    entries |= {"prices": _prices, "egress": _egress, "links": _links}
    if kind not in entries:
        raise UnknownName.among(kind, CATALOGS, kind="catalog", where="catalog")
    try:
        return entries[kind](name)
    except UnknownName as error:
        # Below, nobody knows where the name was asked for.
        where = f"catalog {kind}"
        raise UnknownName(*(dataclasses.replace(finding, where=where) for finding in error.findings)) from None


def accuracy() -> dict[str, Any]:
    """Accuracy JSON: how near predictions were to published runs, as `benchmarks/accuracy/report.py` has found."""
    from importlib import resources

    value: dict[str, Any] = json.loads(
        resources.files("crosszone.catalog").joinpath("data/accuracy.json").read_text("utf-8")
    )
    return value


def catalog_json(entries: Iterable[CatalogEntry]) -> list[dict[str, Any]]:
    """Catalog JSON: the fields of each noun, its name as a job file writes it, and the sources of its figures."""
    from crosszone.core.codec import to_json

    return [
        {
            **to_json(entry.noun),
            "name": entry.name,
            **to_json(dict(entry.more)),
            **({"facts": to_json(entry.facts)} if entry.facts else {}),
        }
        for entry in entries
    ]


def _gpus(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.gpus import gpu, gpu_names, gpu_sheet

    sheets = [gpu_sheet(each) for each in (gpu_names() if name is None else (name,))]
    return tuple(
        CatalogEntry(
            name=sheet.name,
            noun=gpu(sheet.name),
            more=(("aliases", sheet.aliases), ("note", sheet.text("note"))),
            facts=sheet.figures,
        )
        for sheet in sheets
    )


def _models(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.models import model_names, model_sheet
    from crosszone.cost.parameters import num_active_parameters, num_parameters

    sheets = [model_sheet(each) for each in (model_names() if name is None else (name,))]
    return tuple(
        CatalogEntry(
            name=sheet.model.name,
            noun=sheet.model,
            more=(
                ("num_parameters", num_parameters(sheet.model)),
                ("num_active_parameters", num_active_parameters(sheet.model)),
                ("aliases", sheet.aliases),
                ("retrieved", sheet.retrieved),
                ("note", sheet.note),
            ),
        )
        for sheet in sheets
    )


def _regions(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.regions import nearest_names, providers, region, regions

    if name is None or name in providers():
        found = regions(name)
    else:
        one = region(name)
        if one is None:
            raise UnknownName.among(name, nearest_names(name) or providers(), kind="region")
        found = (one,)
    return tuple(CatalogEntry(name=each.reference, noun=each) for each in found)


def _frameworks(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.frameworks import framework, framework_sheet
    from crosszone.frameworks import framework_facts, framework_names

    names = framework_names() if name is None else (name,)
    return tuple(
        CatalogEntry(
            name=each,
            noun=framework(each),
            more=(("modes", tuple(mode.framework.title for mode in framework_facts(each).modes)),),
            facts=framework_sheet(each).figures,
        )
        for each in names
    )


def _prices(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.facts import provider_places
    from crosszone.catalog.tables import gpu_prices

    _check_place(name, provider_places("gpu_prices"))
    return tuple(
        CatalogEntry(name=f"{each.place} {each.gpu} {each.kind}", noun=each)
        for each in gpu_prices()
        if name in (None, each.place)
    )


def _egress(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.facts import provider_places
    from crosszone.catalog.tables import egress_prices

    _check_place(name, provider_places("egress_prices"))
    return tuple(CatalogEntry(name=f"{each.place} {each.to}", noun=each) for each in egress_prices(name))


def _links(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.facts import provider_places
    from crosszone.catalog.tables import round_trips

    _check_place(name, provider_places("network_rtt"))
    return tuple(CatalogEntry(name=f"{each.place} {each.to}", noun=each) for each in round_trips(name))


def _check_place(name: str | None, known: Sequence[str]) -> None:
    """A region of which no figure is known has an empty list; what is no region is a mistake."""
    from crosszone.catalog.regions import providers, region

    if name is not None and name not in (*known, *providers()) and region(name) is None:
        raise UnknownName.among(name, known, kind="place")
