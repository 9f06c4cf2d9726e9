"""Plan to files: renderers per framework and backend. Rendered here, never executed."""
