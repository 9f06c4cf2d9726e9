"""How zones add up gradients, or agree on weights where each steps by itself: what of `crosszone.cost.sync` is run."""
