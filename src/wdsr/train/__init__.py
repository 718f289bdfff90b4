"""Training: recipe, data, losses, loop, export."""
