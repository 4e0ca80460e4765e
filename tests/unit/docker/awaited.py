"""What the compose file names ahead of the code."""

SETTINGS = {"TOKENMILL_METRICS_HOST", "TOKENMILL_METRICS_PORT"} | {
    f"TOKENMILL_FLOWER_{name}" for name in ("HOST", "PORT", "USER", "PASSWORD")
}
COMMANDS = {"flower"}
