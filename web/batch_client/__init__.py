"""What `tokenmill batch` is made of: a client of the API that any other program could be."""
