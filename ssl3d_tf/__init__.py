"""Self-supervised pretraining for 3D and 2D medical images in TensorFlow."""

__version__ = "0.1.0"
