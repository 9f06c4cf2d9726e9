"""The nouns: frozen dataclasses in base units, standard library only (`tables` and `schedules` use NumPy)."""
