"""HTTP, and the `tokenmill` command. Knows no torch."""
