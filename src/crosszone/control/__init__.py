"""Tasks that run, survive and recover: who drives which, what is believed of a run, and what follows from it."""
