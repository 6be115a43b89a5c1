"""The pretext and downstream tasks, each one file that makes a Task of views, model and loss; none knows another."""
