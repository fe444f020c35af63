"""The Python twin of pingpong.c, for machines without a compiler: same arguments, same output, same checks.

It is several times slower than the C program, so it may be what is measured; the harness says so.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

SILENCE_S = 30.0
WRONG_REPLY, NO_ANSWER = 2, 3


class Peer:
    """One connection with one request in flight."""

    def __init__(self, number: int, address: tuple[str, int], size: int) -> None:
        self.head = number.to_bytes(8, "little")
        self.number, self.size, self.sequence = number, size, 0
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ask()

    def ask(self) -> None:
        """Send the next request."""
        self.sequence += 1
        fill = (self.number * 7 + self.sequence) & 0xFF
        self.request = (self.head + self.sequence.to_bytes(8, "little")).ljust(self.size, bytes([fill]))
        self.reply = b""
        self.sent = time.perf_counter()
        self.socket.sendall(self.request)

    def is_answered(self) -> bool:
        """Read what came; True when the reply is whole. Ends the program if it is wrong."""
        part = self.socket.recv(self.size + 1)
        if not part:
            sys.exit(_complain("the server closed a connection", NO_ANSWER))
        self.reply += part
        if not self.request.startswith(self.reply):
            sys.exit(_complain("a reply is not what was asked for", WRONG_REPLY))
        return len(self.reply) == self.size


def load(peers: list[Peer], warm_s: float, measure_s: float) -> dict[str, float]:
    """Keep one request of each peer in flight for the warm-up and the measurement; return the figures."""
    times: list[float] = []
    warm_end = time.perf_counter() + warm_s
    begin, cpu, is_warm = warm_end, 0.0, False
    with selectors.DefaultSelector() as selector:
        for peer in peers:
            selector.register(peer.socket, selectors.EVENT_READ, peer)
        # It lasts until there is anything to count, on a machine that stands still meanwhile too.
        while (now := time.perf_counter()) < begin + measure_s or not (is_warm and times):
            if not is_warm and now >= warm_end:
                is_warm, begin, cpu = True, now, time.process_time()
                times.clear()
                print("warm", flush=True)
            ready = selector.select(SILENCE_S)
            if not ready:
                sys.exit(_complain("no reply for 30 s", NO_ANSWER))
            for key, _ in ready:
                if key.data.is_answered():
                    times.append(time.perf_counter() - key.data.sent)
                    key.data.ask()
    seconds = time.perf_counter() - begin
    times.sort()
    return {
        "requests": len(times),
        "seconds": seconds,
        "load_cpu_s": time.process_time() - cpu,
        "p50_us": times[len(times) // 2] * 1e6,
        "p99_us": times[len(times) * 99 // 100] * 1e6,
    }


def _complain(what: str, status: int) -> int:
    print(f"pingpong: {what}", file=sys.stderr)
    return status


def main(arguments: list[str]) -> None:
    """Run the load: HOST PORT CONNECTIONS BYTES WARM_S MEASURE_S."""
    host, port, connections, size, warm_s, measure_s = arguments
    try:
        peers = [Peer(number, (host, int(port)), int(size)) for number in range(int(connections))]
    except OSError as error:
        sys.exit(_complain(f"cannot connect: {error}", NO_ANSWER))
    print(json.dumps(load(peers, float(warm_s), float(measure_s))))


if __name__ == "__main__":
    main(sys.argv[1:])
