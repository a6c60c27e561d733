"""The type of models of TensorFlow Lite; nothing of it is opened here."""

import os
from typing import TypeAlias

TfliteModel: TypeAlias = "str | os.PathLike[str] | bytes"
"""A model file, or its content, as a converter returns it."""
