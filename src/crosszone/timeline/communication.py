"""What the ranks of one plan send each other in a step, by kind of parallel group."""

from crosszone.core.prediction import Communication, CommunicationGroup, Link, Term
from crosszone.timeline.money import sum_of

GROUPS = {
    "tp": ("tensor_parallel",),
    "cp": ("context_parallel",),
    "ep": ("expert_parallel",),
    "pp": ("pipeline_send", "zone_pipeline_send"),
    "dp": ("weight_gather", "gradient_agreement", "zone_agreement"),
    "embedding": ("embedding_agreement",),
}
"""Each kind of group with the terms of the step that it sends for."""


def communication(terms: tuple[Term, ...], links: tuple[Link, ...]) -> Communication:
    """The terms and links of one plan, added up; nothing in it is computed anew."""
    groups = tuple(_group(name, names, terms, links) for name, names in GROUPS.items())
    return Communication(
        exposed_seconds=sum(group.exposed_seconds for group in groups),
        overlapped_seconds=sum(group.overlapped_seconds for group in groups),
        zone_bytes=sum((link.step_bytes for link in links), 0.0),
        zone_dollars_per_hour=sum_of(*(link.dollars_per_hour for link in links)),
        groups=groups,
    )


def _group(name: str, names: tuple[str, ...], terms: tuple[Term, ...], links: tuple[Link, ...]) -> CommunicationGroup:
    own = [term for term in terms if term.name in names]
    sent = [group for link in links for group in link.groups if group.group == name]
    return CommunicationGroup(
        group=name,
        exposed_seconds=sum(term.exposed_seconds for term in own),
        overlapped_seconds=sum(term.overlapped_seconds for term in own),
        zone_bytes=sum((group.step_bytes for group in sent), 0.0),
        terms=names,
    )
