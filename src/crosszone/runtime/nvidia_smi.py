"""What nvidia-smi says of a GPU: clocks, power, temperature, driver."""

import subprocess

from crosszone.core.measured_gpu import GpuState

QUERY = "clocks.sm,clocks.max.sm,power.draw,power.limit,temperature.gpu,driver_version"
HERTZ_PER_UNIT = 1e6
"""nvidia-smi prints clocks in MHz."""
LIMIT_SECONDS = 10.0


def gpu_state(uuid: str) -> GpuState:
    """The state of the GPU with this UUID; all None where nvidia-smi is missing or does not answer."""
    command = ["nvidia-smi", f"--id={uuid}", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return GpuState()
    return state_of(done.stdout)


def state_of(text: str) -> GpuState:
    """`GpuState` from the one line that the query prints; what it cannot say, as `[N/A]`, is None."""
    cells = [cell.strip() for cell in text.strip().partition("\n")[0].split(",")]
    if len(cells) != len(QUERY.split(",")):
        return GpuState()
    clock, max_clock, power, power_limit, temperature = map(_number, cells[:5])
    return GpuState(
        sm_hertz=None if clock is None else clock * HERTZ_PER_UNIT,
        max_sm_hertz=None if max_clock is None else max_clock * HERTZ_PER_UNIT,
        power_watts=power,
        power_limit_watts=power_limit,
        temperature_celsius=temperature,
        driver_version=cells[5] or None,
    )


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
