"""One loop, and all that one run of it is made of; what several runs are compared by is in experiment/."""
