"""Records golden files from a PyTorch model of the Emergent Semantics family, for `emergent verify`."""

from .errors import BadInput
from .recorder import Recorder, Report, record

__all__ = ["BadInput", "Recorder", "Report", "record"]
