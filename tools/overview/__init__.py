"""A data folder for a person to look at: page, pictures, table; nothing is judged, and no record changed."""
