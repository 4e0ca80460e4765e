"""What `docker/` holds agrees with the code, with its own parts and with what reads it."""
