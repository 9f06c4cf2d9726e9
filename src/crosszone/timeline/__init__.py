"""From plans to seconds and bytes: the cost functions applied to tables of plans, and the event simulation of one."""
