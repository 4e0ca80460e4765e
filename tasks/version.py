"""Which Tokenmill this is."""

from importlib import metadata


def version() -> str:
    """The installed version, or 0 where the code runs without being installed."""
    try:
        return metadata.version("tokenmill")
    except metadata.PackageNotFoundError:
        return "0"
