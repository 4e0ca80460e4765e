"""The model: prompts, the continuous-batching engine and what it is fed. Knows no Flask, Celery or SQL."""
