"""Ten million calls of every kind leave nothing behind: `python benchmarks/memory.py` exits with 1 if they do.

The garbage collector is off while they are made, so that what it would have to free counts as left behind.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys

from seawall import CircuitBreaker, CircuitBreakerOpenError, circuit_breaker, fallback, retry, timeout

ROUNDS, CALLS = 5, 2_000_000


@fallback([lambda item: item])
@circuit_breaker
@retry
def good(item: int) -> int:
    return item


@circuit_breaker
@retry
async def good_async(item: int) -> int:
    return item


@timeout(60)
async def limited(item: int) -> int:
    return item


@fallback([lambda item: item])
@circuit_breaker(failure_threshold=1_000_000_000)
@retry(max_attempts=2, base_delay=0)
def bad(item: int) -> int:
    raise ValueError


isolated = CircuitBreaker()
isolated.isolate()
rejected = isolated.protect(lambda: None)


async def calls_async(count: int) -> None:
    for _ in range(count):
        await good_async(1)
        await limited(1)


def calls(count: int) -> None:
    for _ in range(count):
        good(1)
    asyncio.run(calls_async(count // 8))
    for _ in range(count // 100):
        bad(1)
        try:
            rejected()
        except CircuitBreakerOpenError:
            pass


def main() -> int:
    logging.getLogger("seawall").disabled = True
    calls(CALLS // 10)
    gc.collect()
    gc.disable()
    before = sys.getallocatedblocks()
    for _ in range(ROUNDS):
        calls(CALLS)
        # What asyncio leaves behind is the same however many calls there were.
        print(f"{CALLS:,} calls more: {sys.getallocatedblocks() - before} blocks more", flush=True)
    left = sys.getallocatedblocks() - before
    print(f"{left} blocks after {ROUNDS * CALLS:,} calls")
    return int(left > 1000)


if __name__ == "__main__":
    sys.exit(main())
