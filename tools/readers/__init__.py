"""Files -> volumes: layouts of folders and file formats, known here only; nothing of what becomes of a volume."""
