"""What the network is told: losses and metrics of (targets, outputs); no layers, no data."""
