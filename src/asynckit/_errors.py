"""The exceptions that are asynckit's own."""


class ChildCancelledError(Exception):
    """A child that somebody waits for was cancelled on its own, while its surroundings went on.

    Raised in place of the back end's cancellation exception, which would look like a cancellation of the one who waits.
    """
