"""Many plans at once: jobs times varied values, searched by several processes or machines, each row kept as it ends."""
