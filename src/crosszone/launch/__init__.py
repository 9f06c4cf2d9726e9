"""A bundle at work: started, followed and stopped through its backend. What is not seen is not taken for dead."""
