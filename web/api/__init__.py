"""The HTTP API, a blueprint for each resource."""
