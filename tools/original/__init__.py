"""Configurations of the published program -> gin files: keys and rules; nothing of volumes and records."""
