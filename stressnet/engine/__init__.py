"""The stages of a net's life, in the order they run."""
