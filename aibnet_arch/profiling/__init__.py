"""What a network costs: time, memory, multiply-accumulates."""
