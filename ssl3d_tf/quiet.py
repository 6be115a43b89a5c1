"""Imports TensorFlow without its greeting, and with what it reads of the environment only then.

TensorFlow writes a dozen lines about CUDA and oneDNN to stderr before its log level can be set from Python; the
command line's own messages would drown in them. Everything else it says is passed on.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

_GREETING = re.compile(
    rb"absl::InitializeLog|oneDNN custom operations|Could not find cuda drivers|This TensorFlow binary is optimized"
    rb"|To enable the following instructions|failed call to cuInit.*\(303\)"  # 303: no driver, so no GPU
)


@contextlib.contextmanager
def greeting() -> Iterator[None]:
    """Holds back stderr while TensorFlow is imported and looks for GPUs, then passes on what is not the greeting."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    os.environ.setdefault("GCS_READ_CACHE_BLOCK_SIZE_MB", "1")  # of gs://, read by index: 64 MB a record otherwise
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
            if tensorflow := sys.modules.get("tensorflow"):
                tensorflow.config.list_physical_devices()  # looks for GPUs, and says where there is none
                tensorflow.get_logger().setLevel("ERROR")
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            lines = [line for line in held if not _GREETING.search(line)]
            os.write(2, b"".join(lines))
