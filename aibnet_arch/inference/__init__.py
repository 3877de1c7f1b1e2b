"""How a network restores pictures: settings, tiles."""
