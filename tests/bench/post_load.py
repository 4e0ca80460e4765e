"""A load of identical posts over kept-alive connections, as light as a client in Python can be."""

import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit


def run(base_url: str, path: str, body: bytes, key: str, connections: int, seconds: float) -> float:
    """Answers with status 202 a second, from a client process of its own. Raises on any other answer."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.post_load", base_url, path, key, str(connections), str(seconds)],
        input=body,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    return float(done.stdout)


def main(base_url: str, path: str, key: str, connections: int, seconds: float, body: bytes) -> float:
    address = urlsplit(base_url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    counts = [0] * connections
    faults: list[bytes] = []

    def post(index: int) -> None:
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.monotonic() < until:
                connection.sendall(request)
                answer = _read_answer(connection)
                if not answer.startswith(b"HTTP/1.1 202"):
                    faults.append(answer)
                    return
                counts[index] += 1

    started = time.monotonic()
    until = started + seconds
    threads = [threading.Thread(target=post, args=(index,)) for index in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(faults[0].decode(errors="replace"))
    return sum(counts) / (time.monotonic() - started)


def _read_answer(connection: socket.socket) -> bytes:
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, content = answer.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(content) < length:
        content += connection.recv(65536)
    return answer


if __name__ == "__main__":
    url, where, secret, count, duration = sys.argv[1:]
    print(main(url, where, secret, int(count), float(duration), sys.stdin.buffer.read()))
