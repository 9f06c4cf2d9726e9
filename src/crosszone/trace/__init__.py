"""What happened when: one kind of span for predicted and measured work, and the formats in which people see it."""
