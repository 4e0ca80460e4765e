"""The Python parts of the images, installed as the Dockerfiles say. Only `make test-images` runs these."""
