"""How replicas under DDP add up their gradients: one file for each way of `crosszone.cost.sync` that is run here."""
