"""Files -> records and back: at this door stand the commands; what they do lies in the folders, floor upon floor."""
