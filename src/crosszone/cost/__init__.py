"""What a plan costs: pure arithmetic on the nouns; no clock, file or network."""
