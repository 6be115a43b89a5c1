"""What the network is: encoders, decoders, heads and their layers; no losses, no training."""
