"""What a node installs before its ranks start, where its image lacks it. Nothing where all is there."""

from collections.abc import Sequence

from crosszone.deploy.checked_text import command
from crosszone.deploy.container import SOURCES_FOLDER

PIP_LINES = (
    "# Also into a Python that its distribution manages.",
    "export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore",
    "python3 -m pip install --quiet --requirement requirements.txt",
)


def package_lines(packages: Sequence[str]) -> tuple[str, ...]:
    """Shell lines that install those of `packages`, of Debian or Ubuntu, that are not there."""
    if not packages:
        return ()
    return (
        f"packages=({command(packages)})",
        "missing=()",
        'for package in "${packages[@]}"; do',
        '    dpkg --status "$package" >/dev/null 2>&1 || missing+=("$package")',
        "done",
        'if [ "${#missing[@]}" != 0 ]; then',
        "    as_root=()",
        '    if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi',
        '    "${as_root[@]}" apt-get update -qq',
        '    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"',
        "fi",
    )


def setup_lines(programs: Sequence[str]) -> tuple[str, ...]:
    """Shell lines that run what the framework sets up, in the bundle's folder and with `$PYTHON`."""
    if not programs:
        return ()
    return (
        f"if [ ! -d {SOURCES_FOLDER} ]; then  # the image of the Containerfile has it all",
        *(f"    bash {command([f'./{program}'])}" for program in programs),
        "fi",
    )
