class ServiceError(Exception):
    """A service that the tests need did not do what it was told."""


class ServiceMissing(ServiceError):
    """A service is neither reachable nor installed, and can't be installed from here."""
