"""`ssl3d_tf.data.records` by its name before 0.4, for programs of then; it goes with 0.5."""

from ssl3d_tf.data.records import manifest, reading, schema, writer

__all__ = ["manifest", "reading", "schema", "writer"]
