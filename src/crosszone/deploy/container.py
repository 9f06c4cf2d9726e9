"""What a node needs: a list of requirements, and a recipe for an image that has them."""

from collections.abc import Sequence

from crosszone.core.bundle import Launch

IMAGE = "docker.io/library/python:3.11.7-slim-bookworm"
"""Official and pinned; torch's wheels bring CUDA and NCCL, so that only the driver comes from the node."""
PACKAGES = ("iproute2", "libc-bin")
"""ip and getent, which find a node's network device."""
SOURCES_FOLDER = "/opt/sources"
"""Of what a framework's setup brings."""


def requirements_text(requirements: Sequence[str]) -> str:
    """`requirements.txt`, for pip."""
    return "".join(f"{line}\n" for line in requirements)


def base_image(launch: Launch) -> str:
    """What images start from where the job file names none."""
    return launch.image or IMAGE


def container_text(launch: Launch) -> str:
    """`Containerfile`: the image of the job file for the first node, or a public one, with all that the ranks need."""
    names = " ".join((*PACKAGES, *launch.packages))
    image = next((agent.image for agent in launch.agents if agent.image is not None), base_image(launch))
    lines = (
        f"FROM {image}",
        f"RUN apt-get update && apt-get install -y --no-install-recommends {names} \\",
        "    && rm -rf /var/lib/apt/lists/*",
        "COPY requirements.txt /bundle/requirements.txt",
        "RUN pip install --no-cache-dir -r /bundle/requirements.txt",
        "COPY . /bundle",
        "WORKDIR /bundle",
        *_setup(launch),
    )
    return "\n".join(lines) + "\n"


def _setup(launch: Launch) -> tuple[str, ...]:
    """Sources are outside the bundle's folder, in place of which a backend may mount another."""
    runs = tuple(f"RUN ./{path} {SOURCES_FOLDER}" for path in launch.setup)
    return (*runs, f"ENV PYTHONPATH={SOURCES_FOLDER}") if runs else ()
