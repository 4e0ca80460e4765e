"""What `tokenmill demo` is made of: a server, a client, and something to look at."""
