"""The verbs over HTTP: `/api/v1`. `run.serve` is the server; only this package imports the web framework."""
