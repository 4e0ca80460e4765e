"""What the `tokenmill` command can do, a file for each subcommand."""
