"""The admin API, `/v1/organization`: a noun per file."""
