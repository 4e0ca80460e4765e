"""What the design says of the source, held by tests."""
