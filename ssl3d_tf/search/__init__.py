"""keras-tuner over our own loop: space, trials, searches and their report."""
