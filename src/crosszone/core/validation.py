"""What a validation answers: one line per measured quantity, what was skipped, and the scores. Validate JSON."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedRow:
    """One quantity of one run, measured and predicted."""

    id: str
    source: str
    """Family of the run: its id up to the first underscore."""
    quantity: str
    """step_seconds | peak_memory_bytes | fits; across zones the table's own"""
    unit: str
    """s | bytes | boolean; across zones the table's own"""
    measured: float | bool
    predicted: float | bool
    relative_error: float | None
    """predicted / measured - 1; None where the quantity is true or false."""
    assumed: tuple[str, ...]
    """What the table does not state, with the value that stood in."""
    column: str
    """The column that `measured` was read from."""
    quality: str
    """As the table grades the row; empty where it does not."""
    is_counted: bool
    """Whether the row is in the summary: not of quality C, and the middle one of its repeats."""
    gpu: str
    framework: str
    family: str
    """Family of the model."""
    group: str
    """Rows of one group differ in their plan alone: same source, model, GPUs, sequence and batch."""
    null_model_seconds: float | None
    """Step at a constant fraction of peak; None for other quantities."""
    low_seconds: float | None = None
    """Lower end of the widest interval of the predicted step; None for other quantities."""
    high_seconds: float | None = None
    """Its upper end."""
    layout: str = ""
    """Rows of one group and layout are repeats of one run, as far as the table tells; empty: a row of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRow:
    """A run that was not predicted."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Runs by what happened and what was predicted."""

    ran_fits: int
    ran_does_not_fit: int
    failed_fits: int
    failed_does_not_fit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Errors of one set of rows of one quantity. None where they have no such number."""

    num_rows: int
    mape: float | None
    """Mean of |relative error|."""
    median_ape: float | None
    bias: float | None
    """Mean of the relative error: above 0 too slow or too much."""
    null_model_mape: float | None
    """The same mean for a constant fraction of peak."""
    regret: float | None
    """Mean over groups of: measured step of the plan predicted best, over the measured best, less 1; of repeats the
    median."""
    num_groups: int
    """Groups that `regret` is over."""
    interval_coverage_fraction: float | None = None
    """Share of the steps that lie in their widest interval, that of 90 %."""
    interval_half_width_ratio: float | None = None
    """Mean over rows of half that interval's width over the predicted step."""
    balanced_accuracy: float | None
    """Mean of the shares of right answers among runs that ran and among runs that failed."""
    confusion: Confusion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityScores:
    """All scores of one quantity."""

    total: Score
    source_mape: float | None
    """Mean over sources of their MAPE: no source counts more for having more rows. For `fits`: of 1 - balanced
    accuracy."""
    by_source: dict[str, Score]
    by_gpu: dict[str, Score]
    by_framework: dict[str, Score]
    by_family: dict[str, Score]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Every row of a table, and the scores by quantity. The first quantity is what the summary shows at its top."""

    rows: tuple[ValidatedRow, ...]
    skipped: tuple[SkippedRow, ...]
    quantities: dict[str, QuantityScores]
    num_table_rows: int
    """Rows of the table, the skipped ones too."""
    warnings: tuple[str, ...] = ()
    """What a person should know of all rows together."""

    @property
    def headline(self) -> QuantityScores | None:
        """Scores of the first quantity: step time where it was measured, else memory, else whether it fits."""
        return next(iter(self.quantities.values()), None)
