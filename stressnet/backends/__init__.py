"""What runs nodes: one module per backend, behind the protocol in `base`."""
