"""The errors of this package."""


class BadInput(Exception):
    """A model, file or option that cannot be used. The message is one line that names the thing and the fault."""


class Unplaced(Exception):
    """A part of the model that cannot be matched. The recording leaves it out and says why."""
