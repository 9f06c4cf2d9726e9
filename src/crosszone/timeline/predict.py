"""The prediction of one plan: the one-row case of the cost model, with the pipeline simulated."""

import dataclasses

import numpy as np

from crosszone.catalog.intervals import error_ledger
from crosszone.core.cluster import ZoneLink
from crosszone.core.codec import fingerprint
from crosszone.core.framework import Framework
from crosszone.core.plan import RECOMPUTES, Plan
from crosszone.core.prediction import Prediction, Term
from crosszone.core.problem import Problem
from crosszone.cost.flop import attention_flop, forward_flop, head_flop, model_flop
from crosszone.cost.parameters import num_active_parameters, num_parameters
from crosszone.timeline.chain import slowest_chain
from crosszone.timeline.communication import communication
from crosszone.timeline.evaluate import Evaluation, evaluate, memory, with_pipeline
from crosszone.timeline.fit import host_bytes, host_shortage, memory_of
from crosszone.timeline.inputs import ASSUMED_SMS, Inputs, inputs
from crosszone.timeline.intervals import closeness_note, closeness_of, intervals
from crosszone.timeline.keys import Keyed, keyed
from crosszone.timeline.links import full_paths, plan_links
from crosszone.timeline.money import sum_of
from crosszone.timeline.rows import Tables
from crosszone.timeline.stage_memory import StageBytes
from crosszone.timeline.steps import Steps
from crosszone.timeline.sync_report import agreement_assumed, agreement_report, agreement_warnings
from crosszone.timeline.tabulate import tabulate
from crosszone.timeline.terms import BUBBLE, COMMUNICATION, COMPUTE, OTHER, terms
from crosszone.timeline.totals import totals


def predict_plan(problem: Problem, plan: Plan, framework: Framework) -> Prediction:
    """Everything that is known of `plan` before it runs, whether it fits or not."""
    prepared = inputs(problem, (framework,))
    tables = tabulate(prepared, plan)
    keys = keyed(prepared, tables.keyed_plans)
    evaluation = evaluate(prepared, tables, keys)
    spans = slowest_chain(prepared, tables, evaluation)
    evaluation = with_pipeline(tables, evaluation, spans.total)
    found = terms(prepared, tables, evaluation, spans)
    seconds = sum(term.exposed_seconds for term in found)
    return _Report(
        problem=problem,
        plan=plan,
        inputs=prepared,
        tables=tables,
        evaluation=evaluation,
        bytes=memory(prepared, tables, keys),
        terms=found,
        step_seconds=seconds,
        ideal_seconds=_one_zone_seconds(problem, plan, framework, keys, seconds),
    ).prediction()


def plan_keys(inputs: Inputs, plan: Plan) -> Keyed:
    """What the layers of `plan` cost: the same for all `inputs` that differ in nothing but the links between zones."""
    return keyed(inputs, tabulate(inputs, plan).keyed_plans)


def plan_step_seconds(inputs: Inputs, plan: Plan, keys: Keyed | None = None) -> float:
    """Only the step of `plan`, whose framework is among those of `inputs`: `predict_plan`'s, in less time.

    `keys` are `plan_keys`, where they are known already.
    """
    tables = tabulate(inputs, plan)
    return Steps.of(inputs, tables, keyed(inputs, tables.keyed_plans) if keys is None else keys).seconds(inputs, 0)


def _one_zone_seconds(problem: Problem, plan: Plan, framework: Framework, keys: Keyed, known_seconds: float) -> float:
    """The step if every zone link were as good as the network inside its zones; `keys` are `plan_keys`."""
    if len(plan.zones) < 2:
        return known_seconds
    cluster = problem.cluster
    links = tuple(_ideal(link, problem) for link in cluster.links)
    zones = tuple(dataclasses.replace(zone, uplink_bytes_per_second=None) for zone in cluster.zones)
    ideal = dataclasses.replace(problem, cluster=dataclasses.replace(cluster, links=links, zones=zones))
    return plan_step_seconds(inputs(ideal, (framework,)), plan, keys)


def _ideal(link: ZoneLink, problem: Problem) -> ZoneLink:
    ends = (problem.cluster.zone(link.from_zone), problem.cluster.zone(link.to_zone))
    network = min(sum(group.num_nodes * group.network_bytes_per_second for group in zone.node_groups) for zone in ends)
    return ZoneLink(
        from_zone=link.from_zone, to_zone=link.to_zone, latency_seconds=0.0, bytes_per_second=network,
        egress_dollars_per_byte=link.egress_dollars_per_byte,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """One plan with all that was computed for it; each method fills one part of the prediction."""

    problem: Problem
    plan: Plan
    inputs: Inputs
    tables: Tables
    evaluation: Evaluation
    bytes: StageBytes
    """One value per row of the StageTable."""
    terms: tuple[Term, ...]
    step_seconds: float
    ideal_seconds: float

    def prediction(self) -> Prediction:
        problem, plan = self.problem, self.plan
        tokens = problem.workload.global_batch_tokens
        tokens_per_second = tokens / self.step_seconds
        useful = model_flop(problem.model, problem.workload.sequence_length) * problem.workload.global_batch_size
        peak_seconds = self._peak_flop_per_second() * self.step_seconds
        executed = useful + self._repeated_flop()
        links = plan_links(self.inputs, self.tables, self.evaluation, self.terms, self.step_seconds)
        whole = totals(problem, plan, links, step_seconds=self.step_seconds, step_dollars=self._step_dollars())
        closeness = closeness_of(problem, plan, error_ledger())
        note = closeness_note(problem, plan, closeness)
        return Prediction(
            fingerprint=fingerprint(problem.model, problem.workload, problem.cluster, plan),
            framework=plan.framework,
            num_gpus=plan.world_size,
            num_parameters=num_parameters(problem.model),
            num_active_parameters=num_active_parameters(problem.model),
            num_microbatches=max(replica.num_microbatches for replica in plan.replicas),
            global_batch_tokens=tokens,
            step_seconds=self.step_seconds,
            tokens_per_second=tokens_per_second,
            tokens_per_second_per_gpu=tokens_per_second / plan.world_size,
            model_flop_per_second_per_gpu=useful / self.step_seconds / plan.world_size,
            mfu=useful / peak_seconds,
            hfu=executed / peak_seconds,
            compute_fraction=self._fraction(COMPUTE),
            exposed_communication_fraction=self._fraction(COMMUNICATION),
            bubble_fraction=self._fraction(BUBBLE),
            other_fraction=self._fraction(OTHER),
            cross_zone_penalty_ratio=self.step_seconds / self.ideal_seconds,
            goodput_fraction=whole.outlook.goodput_fraction,
            terms=self.terms,
            memory=memory_of(self.inputs, self.tables, self.bytes),
            host_memory_bytes=float(host_bytes(self.inputs, self.tables, self.bytes).max()),
            links=links,
            communication=communication(self.terms, links),
            intervals=intervals(self.step_seconds, closeness, error_ledger()),
            train_seconds=whole.train_seconds,
            finish=whole.outlook.finish,
            gpu_dollars=sum_of(whole.costs.working_gpu_dollars, whole.costs.idle_gpu_dollars),
            egress_dollars=sum_of(whole.costs.step_egress_dollars, whole.costs.dataset_egress_dollars),
            energy_joules=whole.energy_joules,
            sync=agreement_report(problem, plan, self.evaluation, self.step_seconds),
            reliability=whole.outlook.reliability,
            costs=whole.costs,
            assumed=(
                *(f"{notice.where}: {notice.message}" for notice in problem.assumed),
                *agreement_assumed(plan),
                *self._assumed_shares(),
                *(() if note is None else (note,)),
                *whole.assumed,
            ),
            warnings=tuple(f"{notice.where}: {notice.message}" for notice in problem.warnings)
            + agreement_warnings(problem, plan)
            + self._warnings()
            + full_paths(self.inputs, links, self.step_seconds)
            + whole.warnings,
        )

    def _peak_flop_per_second(self) -> float:
        """Sum over the working GPUs, at the compute precision."""
        precision, total = self.problem.workload.dtypes.compute, 0.0
        for replica in self.plan.replicas:
            for zone, group in zip(replica.zones, replica.node_groups, strict=True):
                gpu = self.problem.cluster.zone(zone).node_groups[group].gpu
                total += (gpu.peak(precision) or float("nan")) * self.plan.tp * self.plan.cp * replica.num_replicas
        return total

    def _repeated_flop(self) -> float:
        """FLOP that run besides the model's own: recomputation, and the masked half where attention is not fused."""
        model, workload = self.problem.model, self.problem.workload
        length, batch = workload.sequence_length, workload.global_batch_size
        core = sum(attention_flop(model, kind, length) for kind in model.layer_kinds())
        masked = core * 3.0 if workload.attention == "unfused" and model.is_causal else 0.0
        again = {"selective": core, "full": forward_flop(model, length) - head_flop(model, length)}
        shares = self._recomputed_shares()
        return batch * masked + sum(
            batch * share * (masked / 3.0 + again[how]) for how, share in shares.items() if how in again
        )

    def _recomputed_shares(self) -> dict[str, float]:
        """Of each way to recompute: share of the layers that it is for, weighted by the sequences that they see."""
        view, stages, shares = self.evaluation.view, self.tables.stages, dict[str, float]()
        seen = view.num_replicas * view.num_microbatches * view.plans.microbatch_size * stages.num_layers
        for code, part in zip(view.plans.recompute.tolist(), seen * view.recomputed_fraction / seen.sum(), strict=True):
            shares[RECOMPUTES[code]] = shares.get(RECOMPUTES[code], 0.0) + float(part)
        return shares

    def _fraction(self, names: tuple[str, ...]) -> float:
        return sum(term.exposed_seconds for term in self.terms if term.name in names) / self.step_seconds

    def _step_dollars(self) -> float | None:
        """Egress of one step."""
        dollars = float(self.evaluation.egress_dollars[0])
        return None if np.isnan(dollars) else dollars

    def _warnings(self) -> tuple[str, ...]:
        """What the reader should know of this plan that no number above says."""
        found = []
        shortage = host_shortage(self.inputs, self.tables, self.bytes)
        if shortage is not None:
            found.append(shortage)
        if self.problem.model.num_experts and self.plan.ep > 1:
            found.append(
                "routing to experts is taken as balanced; few runs with experts were studied, so trust this less"
            )
        return tuple(found)

    def _assumed_shares(self) -> tuple[str, ...]:
        shares = {share.generation: share for share in self.inputs.efficiencies if share.is_assumed}
        found = [
            f"efficiency of {name} GPUs: no run of that generation was studied, shares of others stand in"
            for name in shares
        ]
        names = {pool.node_group.gpu.name for pool in self.inputs.pools if pool.node_group.gpu.num_sms is None}
        found += [f"{name} has no known number of multiprocessors: {ASSUMED_SMS} stand in" for name in sorted(names)]
        return tuple(found)
