"""What is found wrong, or told, of volumes and data folders; nothing is changed or written."""
