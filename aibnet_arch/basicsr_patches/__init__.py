"""What of BasicSR is replaced while a command runs, and what is relied on: the tables, and how they are applied."""
