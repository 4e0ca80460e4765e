"""What travels over the wire, an endpoint per file: request model → job, job → body."""
