"""RabbitMQ for tests: the one that runs, or one of their own."""

import shutil
from pathlib import Path

import kombu

from tests.services.errors import ServiceMissing
from tests.services.install import install
from tests.services.ports import free_ports
from tests.services.process import ServerProcess

VARIABLE = "BROKER_URL"
PACKAGE = "rabbitmq-server"
USUAL_URL = "amqp://guest:guest@127.0.0.1:5672//"
# Debian's command of that name runs the server as another user, with the system's configuration; the script
# that it wraps does neither.
SCRIPTS = ("usr/lib/rabbitmq/bin/rabbitmq-server", "usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")
START_SECONDS = 90


class RabbitMQServer:
    """A broker in a data folder of its own. Started again it has its queues and its port back."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._port, self._distribution_port, self._epmd_port = free_ports(3)
        self._epmd: ServerProcess | None = None
        self._broker: ServerProcess | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    @property
    def log(self) -> Path:
        return self._data_dir / "rabbitmq.log"

    @property
    def process(self) -> ServerProcess | None:
        """Its present run, or the last one; None before the first."""
        return self._broker

    def start(self) -> None:
        script = ensure_installed()
        self._configure()
        # Left to itself the broker starts the name server as a daemon that outlives it.
        self._epmd = ServerProcess(
            [_epmd_program(), "-port", str(self._epmd_port), "-address", "127.0.0.1"],
            self._data_dir / "epmd.log",
        )
        self._broker = ServerProcess([str(script)], self.log, environment=self._environment())
        self._broker.wait_until(lambda: answers(self.url), START_SECONDS)

    def stop(self) -> None:
        """Shut it down in order."""
        if self._broker:
            self._broker.stop(seconds=60)
        self._end_epmd()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._broker:
            self._broker.kill()
        self._end_epmd()

    def _end_epmd(self) -> None:
        if self._epmd:
            self._epmd.kill()

    def _configure(self) -> None:
        (self._data_dir / "conf.d").mkdir(parents=True, exist_ok=True)
        (self._data_dir / "enabled_plugins").write_text("[].\n")
        (self._data_dir / "advanced.config").write_text("[].\n")
        (self._data_dir / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{self._port}\n"
            # The defaults stop publishers where little disk is free or other programs fill the memory.
            "disk_free_limit.absolute = 50MB\n"
            "vm_memory_high_watermark.absolute = 1GB\n"
        )

    def _environment(self) -> dict[str, str]:
        data = str(self._data_dir)
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            # Erlang keeps its cookie there.
            "HOME": data,
            # The script becomes the server, rather than its parent, so that a signal reaches it.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": "tokenmill@localhost",
            "RABBITMQ_CONF_ENV_FILE": f"{data}/rabbitmq-env.conf",
            "RABBITMQ_CONFIG_FILE": f"{data}/rabbitmq.conf",
            "RABBITMQ_CONFIG_FILES": f"{data}/conf.d",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{data}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{data}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{data}/mnesia",
            "RABBITMQ_LOG_BASE": f"{data}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{data}/rabbitmq.pid",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }


def running_url(configured: str | None) -> str | None:
    """The configured broker, or the one at the usual address; None where neither answers."""
    candidates = (url for url in (configured, USUAL_URL) if url is not None)
    return next((url for url in candidates if url.startswith("amqp") and answers(url)), None)


def answers(url: str) -> bool:
    """Whether a broker lets us in there."""
    try:
        with kombu.Connection(url, connect_timeout=2) as connection:
            connection.connect()
    except Exception:  # kombu has no common base for what a server that is just starting answers
        return False
    return True


def ensure_installed() -> Path:
    """The script that starts a server, installed first where need be. Raises ServiceMissing."""
    found = _script()
    if found is None:
        install(PACKAGE, variable=VARIABLE)
        found = _script()
    if found is None:
        raise ServiceMissing(f"{PACKAGE} is installed, but no rabbitmq-server was found")
    return found


def _script() -> Path | None:
    for pattern in SCRIPTS:
        for path in sorted(Path("/").glob(pattern), reverse=True):
            return path
    on_path = shutil.which("rabbitmq-server")
    return Path(on_path) if on_path else None


def _epmd_program() -> str:
    found = shutil.which("epmd") or next(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), None)
    if found is None:
        raise ServiceMissing("epmd, which comes with Erlang, was not found")
    return found
