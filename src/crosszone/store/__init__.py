"""What outlives every process: environments, tasks, deployments and runs, in SQLite or PostgreSQL."""
