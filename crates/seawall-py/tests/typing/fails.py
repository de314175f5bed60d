"""Each line marked so must be refused by mypy --strict and by pyright. It is not run."""

from __future__ import annotations

from seawall import CircuitBreaker, FallbackChain, RetryExecutor, RetryPolicy, fallback, load_policies, retry, timeout


@retry(ValueError)
def named(a: int) -> bytes:
    return b""


@retry
async def later(a: int) -> bytes:
    return b""


def sync() -> int:
    return 1


named("text")  # refused: argument
named()  # refused: argument
named(1).decode(5)  # refused: result
retry(max_attempts="3")  # refused: type of a setting
retry(attempts=3)  # refused: name of a setting
retry(int)(sync)  # refused: no type of errors
retry(policy=RetryPolicy(), max_attempts=3)  # refused: policy and settings
RetryPolicy(3)  # refused: settings are given by name
RetryPolicy().max_attempts = 3  # refused: frozen
timeout(5)(sync)  # refused: a sync function
fallback([5])  # refused: no callable
RetryExecutor().execute_sync(named, "text")  # refused: argument
CircuitBreaker().call(named)  # refused: argument
CircuitBreaker(on_state_change=5)  # refused: no callable
FallbackChain(lambda: 1).execute_sync(named, "text")  # refused: argument
load_policies(5)  # refused: no path
load_policies("p.toml")["p"](named)("text")  # refused: argument
load_policies("p.toml")["p"].call(named, "text")  # refused: argument
load_policies("p.toml")["p"].using(max_attempts=3)  # refused: the file's to say


async def use() -> None:
    text: str = await later(1)  # refused: result
    print(text)
