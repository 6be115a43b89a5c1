"""What commands share: flags, the gin configuration and its knobs, the run folder, the kernels; nothing that learns."""
