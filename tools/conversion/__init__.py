"""All volumes of an input -> shards and manifest: plan, workers, output folder; no arithmetic on voxels."""
