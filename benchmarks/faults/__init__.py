"""What happens to commands that are killed, starved and lied to: real processes, small data, results bit for bit."""
