"""What a node needs: a list of requirements, and a recipe for an image that has them."""

from collections.abc import Sequence

from crosszone.core.bundle import Launch

IMAGE = "docker.io/library/python:3.11.7-slim-bookworm"
"""Official and pinned; torch's wheels bring CUDA and NCCL, so that only the driver comes from the node."""
PACKAGES = ("iproute2", "libc-bin")
"""ip and getent, which find a node's network device."""


def requirements_text(requirements: Sequence[str]) -> str:
    """`requirements.txt`, for pip."""
    return "".join(f"{line}\n" for line in requirements)


def container_text(launch: Launch, packages: Sequence[str] = ()) -> str:
    """`Containerfile`: the image of the job file for the first node, or a public one, with `packages` of Debian."""
    names = " ".join((*PACKAGES, *packages))
    image = next((agent.image for agent in launch.agents if agent.image is not None), IMAGE)
    lines = (
        f"FROM {image}",
        f"RUN apt-get update && apt-get install -y --no-install-recommends {names} \\",
        "    && rm -rf /var/lib/apt/lists/*",
        "COPY requirements.txt /bundle/requirements.txt",
        "RUN pip install --no-cache-dir -r /bundle/requirements.txt",
        "COPY . /bundle",
        "WORKDIR /bundle",
    )
    return "\n".join(lines) + "\n"
