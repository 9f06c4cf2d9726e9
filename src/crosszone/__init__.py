"""CrossZone plans, predicts and runs the training of one large language model over GPUs in several zones."""
