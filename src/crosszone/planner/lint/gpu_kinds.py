"""GPUs of one kind, or a split that suits several."""

from dataclasses import replace

from crosszone import units
from crosszone.frameworks import supports
from crosszone.planner.lint.rule import Case, Judgement, Rule, failed, passed, warned

MOST_WAITING_FRACTION = 0.1
"""Share of the GPUs' peak that may wait for the slowest before it is worth a word: layers and microbatches are whole
numbers, so that some of it cannot be split away."""
WASTED_FRACTION = 0.5
"""From here on the mix does less than half of what its GPUs could."""
EVEN_RATIO = 1.05
"""Replicas whose rates differ by less count as equal."""


def waiting_fraction(case: Case) -> float:
    """Share of the peak of all working GPUs that waits for the slowest stage, by layers times sequences.

    1 - sum(n w) / (T sum(n p)) for n replicas with w layers times sequences at the peak p, T the largest w / p.
    """
    works = case.works()
    slowest = max(work.relative_seconds for work in works)
    done = sum(work.num_replicas * work.num_layer_sequences for work in works)
    return 1.0 - done / (slowest * sum(work.num_replicas * work.peak_flop_per_second for work in works))


def _same_gpus(case: Case) -> Judgement:
    counts = case.num_gpus_by_kind()
    listed = " and ".join(f"{count} {name}" for name, count in counts.items())
    if len(counts) == 1:
        return passed(f"all {listed} are of one kind.")
    waiting = waiting_fraction(case)
    text = f"{listed} work together, and {units.format_fraction(waiting)} of their peak waits for the slowest stage."
    if waiting < MOST_WAITING_FRACTION:
        return passed(text)
    slowest = list(counts)[-1]
    zones = _zones_of_only(case, slowest)
    settings = (f"constraints.exclude_zones=[{', '.join(zones)}]",) if zones else ()
    fix = f"Give {slowest} fewer layers or microbatches, or leave it out."
    return (failed if waiting >= WASTED_FRACTION else warned)(text, fix, *settings)


def _zones_of_only(case: Case, gpu: str) -> list[str]:
    """Zones that may be left out because all of their GPUs are of this kind; never all of them."""
    zones = case.problem.cluster.zones
    found = [zone.name for zone in zones if all(group.gpu.name == gpu for group in zone.node_groups)]
    return found if len(found) < len(zones) else []


def _equal_shares(case: Case) -> Judgement | None:
    replicas = case.plan.replicas
    shares = [case.plan.sequences_of(replica) / replica.num_replicas for replica in replicas]
    rates = []
    works = case.works()
    for index, share in enumerate(shares):
        own = works[index * case.plan.pp : (index + 1) * case.plan.pp]
        rates.append(share / max(work.relative_seconds for work in own))
    if len(case.num_gpus_by_kind()) == 1 or max(rates) < EVEN_RATIO * min(rates):
        return None
    could = sum(one.num_replicas * rate for one, rate in zip(replicas, rates, strict=True))
    longest = max(share / rate for share, rate in zip(shares, rates, strict=True))
    idle = 1.0 - case.plan.num_sequences / (longest * could)
    if _is_shared_out(case):
        consumed = " and ".join(str(count) for count in sorted({round(share) for share in shares}))
        ratio = max(rates) / min(rates)
        return passed(
            f"replicas whose peaks differ {ratio:.2f} times consume {consumed} sequences each, by predicted speed."
        )
    counts = " and ".join(str(count) for count in sorted({one.num_microbatches for one in replicas}))
    text = (
        f"replicas differ {max(rates) / min(rates):.2f} times in speed and work off {counts} microbatches each: "
        f"{units.format_fraction(idle)} of their speed is lost."
    )
    if idle < MOST_WAITING_FRACTION:
        return passed(text)
    able = _unequal_frameworks(case)
    if case.plan.framework in able:
        return warned(text, "Let the planner share the microbatches out.", "plan.replicas=null")
    fix = f"{case.plan.framework} gives every replica the same; weighted shares need {' or '.join(able) or 'another'}."
    return warned(text, fix, *(f"framework.name={name}" for name in able[:1]))


def _is_shared_out(case: Case) -> bool:
    """The planner weighed the replicas: nobody wrote them, and they differ by more than what cannot be divided."""
    counts = {replica.num_microbatches for replica in case.plan.replicas}
    return case.problem.plan.replicas is None and (case.plan.has_own_degrees or max(counts) - min(counts) > 1)


def _unequal_frameworks(case: Case) -> list[str]:
    """Frameworks at hand that would express the plan if its replicas worked off different numbers of microbatches."""
    first, *others = case.plan.replicas
    longer = replace(first, num_microbatches=first.num_microbatches + 1)
    unequal = replace(case.plan, replicas=(longer, *others))
    return [name for name in case.allowed_frameworks() if not supports(name, unequal)]


RULES = (
    Rule(
        name="same_gpus",
        about="GPUs of one kind, or a split in which none waits for another",
        source="own arithmetic on layers, microbatches and peaks; Um et al. 2024 (Metis, ATC), sec. 2",
        judge=_same_gpus,
    ),
    Rule(
        name="equal_shares",
        about="faster replicas work off more microbatches, by a framework that weighs gradients by tokens",
        source="PyTorch DistributedDataParallel averages over ranks; Strati et al. 2025 (Sailor, SOSP), sec. 2",
        judge=_equal_shares,
    ),
)
