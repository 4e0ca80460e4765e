"""How the platform stands, for a person who looks: read from Postgres alone, in a few bounded queries."""
