"""Template tags of port-in orders."""
