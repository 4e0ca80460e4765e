"""The real RabbitMQ, Redis and Postgres that tests run against: found, or started for them alone."""
