"""The bytes of a data folder: manifest, shards and records, written and read; nothing else knows them."""
