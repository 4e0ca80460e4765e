"""Says which services the tests will use, and installs what they will have to start."""

import os
import sys

from tests.services import promtool, rabbitmq, redis
from tests.services.errors import ServiceMissing


def main() -> int:
    try:
        for name, service in (("RabbitMQ", rabbitmq), ("Redis", redis)):
            running = service.running_url(os.environ.get(service.VARIABLE))
            # Tests that stop and crash a server start their own, whatever else runs.
            program = service.ensure_installed()
            print(f"{name}: {'one that runs already, and ' if running else ''}{program}")
        print(f"Prometheus: {promtool.ensure_installed()}")
    except ServiceMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
