"""Where gin/ lies: beside the package in a checkout, and in it where it was installed. No TensorFlow here."""

from pathlib import Path

_CHECKOUT, _INSTALLED = Path(__file__).resolve().parents[2], Path(__file__).resolve().parents[1] / "share"

# 'gin/base.gin' is found from any current folder; site-packages/gin beside an installed package is the library's.
ROOT = _CHECKOUT if (_CHECKOUT / "gin" / "base.gin").is_file() else _INSTALLED
