"""What of BasicSR is replaced while a command runs: each piece with its fault, its promise, and until when."""
