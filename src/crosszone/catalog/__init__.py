"""Facts with their sources: GPUs, models, providers. Read only when named."""
