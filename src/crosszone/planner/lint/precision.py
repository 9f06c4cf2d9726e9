"""Number formats that the GPUs have, and what they need."""

from crosszone.planner.lint.rule import Case, Judgement, Rule, failed, passed, warned

NARROW = ("fp8", "fp4")
WIDE = ("fp32", "tf32")


def _precision(case: Case) -> Judgement:
    precision = case.precision
    gpus = {group.gpu.name: group.gpu for group in case.node_groups().values()}
    lacking = sorted(name for name, gpu in gpus.items() if gpu.peak(precision) is None)
    has_bf16 = all(gpu.peak("bf16") is not None for gpu in gpus.values())
    better = "bf16" if has_bf16 else "fp16"
    if lacking:
        text = f"{', '.join(lacking)} cannot compute in {precision}."
        return failed(text, f"Compute in {better}.", f"workload.precision={better}")
    if precision == "fp16":
        return _fp16(has_bf16, sorted(gpus))
    if precision in WIDE:
        ratio = min((gpu.peak(better) or 0.0) / (gpu.peak(precision) or 1.0) for gpu in gpus.values())
        if ratio <= 1.0:
            return passed(f"{precision}: these GPUs have nothing faster.")
        text = f"{precision}: {better} has {ratio:.3g} times its peak, at half the bytes."
        return warned(text, f"Compute in {better}.", f"workload.precision={better}")
    if precision in NARROW:
        text = f"{precision}: tensors need scales of their own, which not every framework keeps."
        return warned(text, "Check convergence against bf16 first.", "workload.precision=bf16")
    return passed(f"{precision} on {', '.join(sorted(gpus))}: the range of fp32, no loss scaling.")


def _fp16(has_bf16: bool, names: list[str]) -> Judgement:
    limits = "fp16 ends at 65504 and at 6e-8: gradients below are lost unless the loss is scaled"
    if has_bf16:
        text = f"{limits}; {', '.join(names)} have bf16, with the range of fp32, at the same rate."
        return warned(text, "Compute in bf16.", "workload.precision=bf16")
    return warned(f"{limits}; not all of {', '.join(names)} have bf16.", "Scale the loss dynamically.")


RULES = (
    Rule(
        name="precision",
        about="a number format that every GPU has, with the range that training needs",
        source="Micikevicius et al. 2018 (arXiv 1710.03740), sec. 3; Kalamkar et al. 2019 (arXiv 1905.12322)",
        judge=_precision,
    ),
)
