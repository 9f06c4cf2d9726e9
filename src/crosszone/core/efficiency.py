"""What share of its peaks a GPU generation reaches: the constants that calibration may replace."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """Achievable rates of one GPU generation, as shares of the peaks in the catalog."""

    generation: str
    gemm_fraction: float
    """Of the dense peak, by a large GEMM in its main loop, 16 bits and wider."""
    fp8_gemm_fraction: float
    """The same in fp8, of the fp8 peak."""
    fp4_gemm_fraction: float
    """The same in fp4, of the fp4 peak."""
    gemm_overhead_depth: float
    """K elements that the prologue and epilogue of one tile cost."""
    attention_fraction: float
    """Of the dense peak, by a fused attention forward."""
    attention_backward_fraction: float
    """Of the dense peak, by a fused attention backward."""
    flash2_factor: float
    """Rate of FlashAttention-2 over the two above."""
    flash1_factor: float
    """Rate of FlashAttention-1 (and Triton's) over the two above."""
    unfused_attention_fraction: float
    """Of the dense peak, by the batched GEMMs of an unfused attention."""
    memory_fraction: float
    """Of the memory bandwidth, by a streaming kernel."""
    fabric_fraction: float
    """Of the fabric bandwidth, by a large collective."""
    network_fraction: float
    """Of the node's network, by a large collective."""
    collective_latency_seconds: float
    """Cost of one collective of no bytes inside a fabric."""
    network_latency_seconds: float
    """Cost of one hop between nodes of a zone."""
    source: str
    is_assumed: bool = False
    """True where no run of this generation was studied and another generation's shares stand in."""

    def kernel_factor(self, attention_kernel: str) -> float:
        """Rate of a fused attention kernel over the best one's."""
        return {"flash2": self.flash2_factor, "flash1": self.flash1_factor}.get(attention_kernel, 1.0)

    def main_loop_fraction(self, precision: str) -> float:
        """Share of the peak of `precision` that a large GEMM reaches."""
        narrow = {"fp8": self.fp8_gemm_fraction, "fp4": self.fp4_gemm_fraction}
        return narrow.get(precision, self.gemm_fraction)
