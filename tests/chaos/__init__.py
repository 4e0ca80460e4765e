"""The platform broken on purpose, again and again, and what its clients were promised held against it.

    python -m tests.chaos --faults 200 --seed 7

What is run is as an operator runs it: two web, two worker and two scheduler processes on a Postgres, a
RabbitMQ and a Redis of their own.
"""
