"""What streaming costs: the engine's tokens on their way to clients.

    python -m tests.bench.streaming [--quick]

Chats: output tokens a second of 64 chats of 64 tokens, streamed with the official SDK through web, broker
and worker processes, beside the engine called directly with the same prompts, round after round.
Delays: how long a token takes from the worker's hands to a client's, and what a stream takes of the web
process's memory and processor time, with 1, 100 and 1,000 streams on one web process. There the tokens
come from a source in place of a model, at a steady pace, so that the times are the platform's own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from tests.bench.chat_rounds import Round, direct_engine, rounds
from tests.bench.whole_platform import CHATS, MODEL, report, whole_platform
from tests.services.platform import Platform, PlatformProcess


def main() -> None:
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="tokenmill-bench-") as name,
        whole_platform(Path(name)) as platform,
    ):
        platform.environment["TOKENMILL_WEB_PROCESSES"] = "1"
        web = platform.start_web()
        if "delays" in options.parts:
            for streams in options.streams:
                print(measure_delays(platform, web, streams, options.tokens, options.pace), flush=True)
            platform.environment["TOKENMILL_QUEUE_PREFIX"] += "-chats"
            web.stop()
            platform.start_web()
        if "chats" in options.parts:
            measure_chats(platform, options.rounds, options.max_tokens)


def measure_chats(platform: Platform, times: int, max_tokens: int) -> None:
    """Alternate between the engine alone and the platform around the same engine."""
    platform.start_scheduler()
    alone: list[Round] = []
    whole: list[Round] = []
    key = platform.headers["Authorization"].removeprefix("Bearer ")
    with (
        direct_engine(platform) as direct,
        rounds(platform, "tests.bench.sdk_chats", platform.base_url, key) as (_, streamed),
    ):
        platform.start_worker()
        direct(CHATS, max_tokens)
        streamed(CHATS, max_tokens)
        for _ in range(times):
            alone.append(direct(CHATS, max_tokens))
            whole.append(streamed(CHATS, max_tokens))
    report(
        "64 chats",
        "tokens a second",
        "engine called directly",
        [one.tokens_per_second for one in alone],
        "streamed with the SDK",
        [one.tokens_per_second for one in whole],
    )
    for name, rounds_of in (("engine called directly", alone), ("streamed with the SDK", whole)):
        first = median(one.first_token_ms for one in rounds_of)
        between = median(one.between_tokens_ms for one in rounds_of)
        print(f"  {name}: first token after {first:.0f} ms, between tokens {between:.0f} ms (medians)")


@dataclass(frozen=True, slots=True)
class Delays:
    """What was measured with so many streams."""

    streams: int
    tokens: int
    pace: float
    delays_ms: list[float]
    first_ms: list[float]
    memory_kib: float
    processor_us: float

    def __str__(self) -> str:
        ranked = sorted(self.delays_ms)
        high = ranked[int(len(ranked) * 0.99)]
        return (
            f"{self.streams} streams of {self.tokens} tokens, {self.pace:g} a second each: "
            f"first token after {median(self.first_ms):.1f} ms, any token {median(ranked):.1f} ms "
            f"(99th percentile {high:.1f}), {self.memory_kib:.0f} KiB a stream, "
            f"{self.processor_us:.0f} us of processor time a token"
        )


def measure_delays(
    platform: Platform, web: PlatformProcess, streams: int, tokens: int, pace: float
) -> Delays:
    """Open the streams, then have the source send."""
    jobs = [
        platform.submit(type="completion", model=MODEL, prompt="a", max_tokens=tokens)["id"]
        for _ in range(streams)
    ]
    (server,) = psutil.Process(web.pid).children()
    idle = server.memory_info().rss
    key = platform.headers["Authorization"].removeprefix("Bearer ")
    clients = _start(platform, "stream_clients", platform.base_url, key, str(tokens), lines=jobs)
    assert clients.stdout is not None
    if clients.stdout.readline().strip() != "ready":
        raise RuntimeError("not every stream could be opened")
    taken = server.memory_info().rss - idle
    before = sum(server.cpu_times()[:2])
    source = _start(platform, "stream_source", str(tokens), str(pace), lines=jobs)
    assert source.stdout is not None
    arrived: dict[str, list[float]] = json.loads(clients.stdout.readline())
    spent = sum(server.cpu_times()[:2]) - before
    sent: list[float] = json.loads(source.stdout.readlines()[-1])
    clients.wait(30)
    source.wait(30)
    delays = [
        [(came - at) * 1000 for came, at in zip(times, sent, strict=True)] for times in arrived.values()
    ]
    return Delays(
        streams,
        tokens,
        pace,
        [delay for one in delays for delay in one],
        [one[0] for one in delays],
        taken / streams / 1024,
        spent / streams / tokens * 1e6,
    )


def _start(platform: Platform, module: str, *arguments: str, lines: list[str]) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.{module}", *arguments],
        env=platform.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("\n".join(lines))
    process.stdin.close()
    return process


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each, alternating (default 5)")
    parser.add_argument("--max-tokens", type=int, default=64, help="tokens per chat (default 64)")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 100, 1000], help="how many at once")
    parser.add_argument("--tokens", type=int, default=20, help="tokens per stream (default 20)")
    parser.add_argument("--pace", type=float, default=2.0, help="tokens a second per stream (default 2)")
    parser.add_argument(
        "--parts", nargs="+", choices=("chats", "delays"), default=("delays", "chats"), help="what to measure"
    )
    parser.add_argument("--quick", action="store_true", help="a few small rounds, to see that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.max_tokens, options.streams, options.tokens = 1, 8, [1, 20], 5
    return options


if __name__ == "__main__":
    main()
