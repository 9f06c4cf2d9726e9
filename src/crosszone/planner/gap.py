"""How far the best plan may be from the best that there is: its simulated step against what no plan undercuts."""

from crosszone.planner.bounds import least_gpu_seconds
from crosszone.planner.options import options
from crosszone.timeline.inputs import Inputs


def gap_fraction(inputs: Inputs, step_seconds: float) -> float:
    """Share of the step by which a better plan could be faster, at most; 0: there is none.

    No plan is faster than one in which every GPU that may be used does nothing but layers at the best degrees of any
    framework: without the LM head, the optimizer, collectives, bubbles, links and the limits of memory. So the gap is
    an upper bound, and most of it is what every plan has to pay.
    """
    excluded = inputs.problem.constraints.exclude_zones
    pools = [pool.index for pool in inputs.pools if pool.zone.name not in excluded]
    rates = inputs.hardware.num_gpus[pools] / least_gpu_seconds(inputs, options(inputs))[pools]
    work = inputs.problem.workload.global_batch_size * inputs.problem.model.num_layers
    return max(1.0 - float(work / rates.sum()) / step_seconds, 0.0)
