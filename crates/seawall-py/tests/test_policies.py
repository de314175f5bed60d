"""Policy files: what Rust programs and the command read, Python reads alike."""

from __future__ import annotations

import asyncio
import copy
import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

import seawall
from seawall import (
    CircuitBreakerOpenError,
    CircuitState,
    ConfigError,
    FallbackChain,
    Pipeline,
    Policies,
    RetryExhaustedError,
    RetryPolicy,
    TimedOutError,
    load_policies,
    retry,
)
from seawall.testing import ManualClock, MockRetryExecutor

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Load = Callable[..., Policies]

#: What the library's own tests read.
FILES = Path(__file__).parents[2] / "seawall" / "tests" / "config" / "files"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a text as a file, without the environment of whoever runs the tests."""

    def load(
        text: str,
        name: str = "p.toml",
        environment: Mapping[str, str] | None = None,
        keeping: Policies | None = None,
    ) -> Policies:
        (tmp_path / name).write_text(text)
        return load_policies(tmp_path / name, environment=environment or {}, keeping=keeping)

    return load


@pytest.fixture
def clock() -> Any:
    with ManualClock() as clock:
        yield clock


class Failing:
    """Fails so often, then answers."""

    def __init__(self, times: int, error: type[BaseException] = OSError) -> None:
        self.left = times
        self.calls = 0
        self.error = error

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.left:
            raise self.error("down")
        return "done"

    async def later(self) -> str:
        return self()


PAYMENTS = {
    "p.toml": """
        [payments]
        extends = "aws"
        timeout = "2s"
        [payments.retry]
        max_attempts = 5
        jitter = false
        [payments.circuit_breaker]
        failure_threshold = 2
        recovery_timeout = "1m30s"
    """,
    "p.yaml": """
payments:
  extends: aws
  timeout: 2s
  retry: {max_attempts: 5, jitter: false}
  circuit_breaker: {failure_threshold: 2, recovery_timeout: 1m30s}
""",
    "p.json": """{"payments": {"extends": "aws", "timeout": "2s", "retry": {"max_attempts": 5, "jitter": false},
        "circuit_breaker": {"failure_threshold": 2, "recovery_timeout": "1m30s"}}}""",
}


@pytest.mark.parametrize("name", PAYMENTS)
def test_toml_yaml_and_json_say_the_same(load: Load, name: str) -> None:
    payments = load(PAYMENTS[name], name)["payments"]
    assert str(payments) == 'breaker "payments"(2, 90s) > retry "payments"(5) > timeout(2s)'
    assert payments.retry is not None and payments.retry.name == "payments"
    assert payments.retry.policy == RetryPolicy(max_attempts=5, base_delay=0.05, max_delay=20, jitter=False)
    breaker = payments.circuit_breaker
    assert breaker is not None and breaker.name == "payments"
    assert breaker.settings["failure_threshold"] == 2 and breaker.settings["recovery_timeout"] == 90
    assert (payments.timeout, payments.total_timeout, payments.fallback) == (2, None, None)


def test_the_policies_are_a_mapping_in_the_order_of_the_file(load: Load) -> None:
    policies = load("[b]\nretry = true\n[a]\nextends = 'b'\ntimeout = 1\n")
    assert isinstance(policies, Mapping) and isinstance(policies["a"], Pipeline)
    assert list(policies) == ["b", "a"] and len(policies) == 2 and "c" not in policies
    assert policies.get("c") is None and [str(policy) for policy in policies.values()] == [
        'retry "b"(3)',
        'retry "a"(3) > timeout(1s)',
    ]
    assert policies["a"] is policies["a"]
    assert repr(policies).endswith("p.toml: b, a>") and repr(policies["b"]) == "<Pipeline 'b': retry \"b\"(3)>"


def test_a_policy_that_is_not_there_is_told_with_the_nearest(load: Load) -> None:
    with pytest.raises(KeyError, match=r"p\.toml: there is no policy `paymnts`; did you mean `payments`\?"):
        load(PAYMENTS["p.toml"])["paymnts"]
    with pytest.raises(KeyError, match="there is no policy `zebra`'?\"?$"):
        load(PAYMENTS["p.toml"])["zebra"]


@pytest.mark.skipif(not FILES.exists(), reason="without the repository")
def test_every_field_of_a_file_reaches_the_policy(clock: ManualClock) -> None:
    policies = load_policies(FILES / "good" / "every_field.toml", environment={})
    every, other = policies["every"], policies["other"]
    assert [type(layer).__name__ for layer in every.layers] == [
        "FallbackChain", "Timeout", "CircuitBreaker", "RetryExecutor", "Timeout",
    ]  # fmt: skip
    retrying, breaker = every.retry, every.circuit_breaker
    assert retrying is not None and breaker is not None and other.retry is not None
    assert retrying.name == "charge"
    assert retrying.policy == RetryPolicy(
        max_attempts=7, backoff="linear", multiplier=1.5, base_delay=0.25, max_delay=90,
        jitter="plus_minus_10", total_timeout=300, max_retry_after=120, retry_on_open=True,
        retry_on_exhausted=True, keep_errors=4,
    )  # fmt: skip
    assert retrying.budget is not None and retrying.budget.available == 10
    same = seawall.CircuitBreaker(
        name="bank", failure_threshold=9, failure_rate=0.25, failure_window=20, minimum_calls=30,
        slow_call_rate=0.75, slow_call_duration=3, recovery_timeout=15, recovery_multiplier=2,
        max_recovery_timeout=120, recovery_jitter=0.5, probes=2, success_threshold=3, probe_lease=240,
    )  # fmt: skip
    assert (breaker.name, breaker.settings) == (same.name, same.settings)
    assert (every.timeout, every.total_timeout) == (4, 600)
    assert every.fallback is not None
    answer = asyncio.run(every.call_async(Failing(99).later))
    assert answer == {"answer": [1, 2.5, "three", True]} and len(clock.sleeps) == 6
    # `aws` stands last in its `extends`, so it wins; and what is said of a budget is its own.
    assert other.retry.policy.backoff_strategy == "decorrelated" and other.retry.policy.max_attempts == 3
    assert other.retry.budget is not None and other.retry.budget.available == 3


@pytest.mark.skipif(not FILES.exists(), reason="without the repository")
@pytest.mark.parametrize("told", sorted(FILES.glob("refused*/*.told")), ids=lambda told: told.name)
def test_what_is_wrong_with_a_file_is_told_in_the_words_of_rust(
    told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(told.parent)
    with pytest.raises(ConfigError) as caught:
        load_policies(told.with_suffix("").name, environment={})
    assert str(caught.value) + "\n" == told.read_text()
    assert [problem.text for problem in caught.value.problems] == str(caught.value).split("\n")


@pytest.mark.skipif(not FILES.exists(), reason="without the repository")
def test_files_that_are_wrong_are_there() -> None:
    assert len(list(FILES.glob("refused*/*.told"))) > 10


def test_an_error_is_a_value_error_with_its_problems_as_data(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_atempts") as caught:
        load("[p.retry]\nmax_atempts = 5\nbase_delay = 'soon'\n", environment={"SEAWALL__P__TIMEOUT": "x"})
    error = caught.value
    assert isinstance(error, ConfigError) and len(error.problems) == 3
    name, delay, variable = error.problems
    assert (name.kind, name.field, name.suggestion) == ("unknown-name", "p.retry.max_atempts", "max_attempts")
    assert (name.file, name.line, name.column) == (str(tmp_path / "p.toml"), 2, 1)
    assert str(name) == name.text == str(error).split("\n")[0] and name.message in name.text
    assert (delay.kind, delay.value, delay.line) == ("invalid-value", '"soon"', 3) or delay.kind == "wrong-type"
    assert (variable.variable, variable.file, variable.line) == ("SEAWALL__P__TIMEOUT", None, None)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(again) == str(error) and again.problems == error.problems


def test_what_cannot_be_read_is_told_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_policies(tmp_path / "none.toml")
    assert caught.value.problems[0].kind == "unreadable" and caught.value.problems[0].line is None
    with pytest.raises(ConfigError, match=r"ends in \.toml, \.yaml, \.yml or \.json"):
        load_policies(str(tmp_path / "none.ini"))
    for wrong in (5, None, b"p.toml"):
        with pytest.raises((TypeError, ConfigError)):
            load_policies(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`prefix`"):
        load_policies(tmp_path / "none.toml", prefix=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`environment`"):
        load_policies(tmp_path / "none.toml", environment=["A=1"])  # type: ignore[arg-type]


def test_the_environment_is_laid_over_the_file(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variables = {"SEAWALL__PAYMENTS__RETRY__MAX_ATTEMPTS": "7", "SEAWALL__PAYMENTS__CIRCUIT_BREAKER": "false"}
    assert str(load(PAYMENTS["p.toml"], environment=variables)["payments"]) == 'retry "payments"(7) > timeout(2s)'
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(load_policies(tmp_path / "p.toml")["payments"]) == 'retry "payments"(7) > timeout(2s)'
    assert "breaker" in str(load_policies(tmp_path / "p.toml", environment={})["payments"])
    other = {"BANK__PAYMENTS__TIMEOUT": "9s"}
    assert load_policies(tmp_path / "p.toml", environment=other, prefix="BANK")["payments"].timeout == 9


def test_a_policy_decorates_sync_and_async_functions(load: Load, clock: ManualClock, run: Run) -> None:
    policy = load("[p]\nretry = {jitter = false}\ncircuit_breaker = true")["p"]
    sync, later = Failing(2), Failing(2)
    assert policy(sync)() == "done" and run(policy(later.later)()) == "done"
    assert (sync.calls, later.calls) == (3, 3) and clock.sleeps == [1, 2, 1, 2]

    class Service:
        @policy
        def method(self, a: int, *, b: int = 2) -> tuple[int, int]:
            """Its text."""
            return a, b

        @classmethod
        @policy
        def of_class(cls) -> str:
            return cls.__name__

    assert Service().method(1) == (1, 2) and Service.of_class() == "Service"
    assert Service.method.__doc__ == "Its text."
    assert list(inspect.signature(Service.method).parameters) == ["self", "a", "b"]


def test_a_policy_fuses_into_one_function(load: Load) -> None:
    policy = load("[p]\nretry = {base_delay = 0}\ncircuit_breaker = true")["p"]

    @retry(ValueError, base_delay=0)
    @policy
    def function() -> int:
        return 1

    assert function() == 1
    protection = function.seawall  # type: ignore[attr-defined]
    assert len(protection.layers) == 3 and protection.layers[1:] == policy.layers
    assert protection.unprotected is function.__wrapped__  # type: ignore[attr-defined]
    assert not hasattr(protection.unprotected, "seawall")
    assert protection.breaker is policy.circuit_breaker
    plain = seawall.circuit_breaker(retry(base_delay=0)(protection.unprotected))
    # The same machinery: the same code, line for line.
    assert policy(protection.unprotected).__code__.co_code == plain.__code__.co_code  # type: ignore[attr-defined]


def test_a_policy_without_layers_lets_every_call_through(load: Load, run: Run) -> None:
    policy = load("[p]\nretry = false")["p"]
    assert policy(clock) is clock and policy.layers == () and str(policy) == ""
    assert policy.call(lambda: 1) == 1 and run(policy.call_async(Failing(0).later)) == "done"


def test_a_policy_is_run_by_hand(load: Load, clock: ManualClock, run: Run) -> None:
    policy = load("[p]\nretry = {jitter = false}\ncircuit_breaker = {failure_threshold = 1}")["p"]
    assert policy.call(lambda a, *, b: (a, b), 1, b=2) == (1, 2)
    assert policy.call(Failing(2)) == "done" and run(policy.call_async(Failing(2).later)) == "done"
    with pytest.raises(OSError) as caught:
        policy.call(Failing(9))
    assert isinstance(caught.value, RetryExhaustedError) and caught.value.attempts == 3
    with pytest.raises(CircuitBreakerOpenError, match="`p`|'p'|p"):
        run(policy.call_async(Failing(0).later))
    with pytest.raises(TypeError, match="use call_async"):
        policy.call(Failing(0).later)
    with pytest.raises(TypeError, match="`function` must be callable"):
        policy.call(5)  # type: ignore[arg-type]


def test_a_retry_alone_is_a_loop(load: Load, clock: ManualClock, run: Run) -> None:
    policies = load("[p]\nretry = {jitter = false}\n[q]\nretry = true\ntimeout = 1\n[r]\n")
    operation = Failing(2)
    for attempt in policies["p"]:
        with attempt:
            assert operation() == "done"
    assert operation.calls == 3

    async def later() -> int:
        operation = Failing(1)
        async for attempt in policies["p"]:
            with attempt:
                await operation.later()
        return operation.calls

    assert run(later()) == 2
    for name, stack in (("q", 'retry "q"(3) > timeout(1s)'), ("r", "empty")):
        with pytest.raises(TypeError, match="a loop is a retry and nothing else") as caught:
            iter(policies[name])
        assert f"policy `{name}` is {stack}" in str(caught.value)
        with pytest.raises(TypeError, match="a loop is a retry and nothing else"):
            aiter(policies[name])


def test_a_breaker_belongs_to_its_policy_and_all_its_users_share_it(load: Load) -> None:
    policies = load("[p]\ncircuit_breaker = {failure_threshold = 1}\n[q]\nextends = 'p'")
    policy = policies["p"]
    one, other = policy(Failing(9)), policy.using(reraise=True)(Failing(0))
    with pytest.raises(OSError):
        one()
    with pytest.raises(CircuitBreakerOpenError):
        other()
    with pytest.raises(CircuitBreakerOpenError):
        policy.call(Failing(0))
    breaker = policy.circuit_breaker
    assert breaker is not None and breaker.state is CircuitState.OPEN
    # What is inherited are settings.
    assert policies["q"].circuit_breaker is not breaker and policies["q"].call(Failing(0)) == "done"


def test_a_budget_is_shared_by_all_who_name_it(load: Load) -> None:
    policies = load("""
        [budgets.bank]
        ratio = 0.1
        floor = 2
        [p.retry]
        budget = "bank"
        base_delay = 0
        [q.retry]
        budget = "bank"
        base_delay = 0
        [r.retry]
        budget = "aws"
    """)
    p, q, r = policies["p"].retry, policies["q"].retry, policies["r"].retry
    assert p is not None and q is not None and r is not None
    assert p.budget is q.budget and p.budget is not None and p.budget.available == 2
    with pytest.raises(OSError):
        policies["p"].call(Failing(9))
    operation = Failing(9)
    with pytest.raises(OSError):
        policies["q"].call(operation)
    assert operation.calls == 1 and p.budget.available == 0
    assert r.budget is not None and r.budget.available > 30


def test_a_file_that_is_read_again_keeps_breakers_and_budgets(load: Load) -> None:
    text = """
        [budgets.bank]
        ratio = 0.1
        floor = 5
        [p]
        retry = {{max_attempts = {0}, base_delay = 0, budget = "bank"}}
        circuit_breaker = {{failure_threshold = 1}}
        [q]
        circuit_breaker = {{failure_threshold = {0}}}
    """
    old = load(text.format(3))
    with pytest.raises(OSError):
        old["p"].call(Failing(9))
    new = load(text.format(4), keeping=old)
    p, before = new["p"], old["p"]
    assert p.retry is not None and before.retry is not None
    assert p.retry.policy.max_attempts == 4
    assert p.circuit_breaker is before.circuit_breaker and p.circuit_breaker is not None
    assert p.circuit_breaker.state is CircuitState.OPEN
    assert p.retry.budget is not None and p.retry.budget.available == 3
    # Set otherwise, it begins anew.
    assert new["q"].circuit_breaker is not old["q"].circuit_breaker
    # And once more, from what was kept.
    again = load(text.format(5), keeping=new)
    assert again["p"].circuit_breaker is before.circuit_breaker
    assert again["q"].circuit_breaker is not new["q"].circuit_breaker
    with pytest.raises(ConfigError):
        load("[p", keeping=new)
    assert new["p"].circuit_breaker is before.circuit_breaker
    with pytest.raises(TypeError, match="`keeping`"):
        load(text.format(3), keeping={})  # type: ignore[arg-type]


def test_the_value_of_a_fallback_answers_anew_for_each_call(load: Load, run: Run) -> None:
    policy = load("[p]\nfallback.value = {items = [], none = 'left'}")["p"]
    guarded = policy(Failing(99))
    first: Any = guarded()
    first["items"].append(1)
    assert guarded() == {"items": [], "none": "left"} == run(policy.call_async(Failing(99).later))
    assert load('{"p": {"fallback": {"value": null}}}', "p.json")["p"].call(Failing(9)) is None


@pytest.mark.parametrize("text", ["fallback = true", "fallback.command = 'cat cache'"])
def test_a_fallback_without_an_answer_must_be_given_one(load: Load, text: str, run: Run) -> None:
    policies = load(f"[ok]\nretry = true\n[p]\nretry = {{base_delay = 0}}\n{text}")
    assert policies["ok"].call(Failing(0)) == "done"
    policy = policies["p"]
    uses: list[Callable[[], object]] = [
        lambda: policy(Failing(0)),
        lambda: policy.call(Failing(0)),
        lambda: run(policy.call_async(Failing(0).later)),
        lambda: policy.layers,
        lambda: iter(policy),
    ]
    for use in uses:
        with pytest.raises(ConfigError, match=r"p\.toml:5:\d+: p\.fallback: the program gives no answer") as caught:
            use()
        problem = caught.value.problems[0]
        assert (problem.kind, problem.field, problem.line) == ("missing", "p.fallback", 5)
    for fallback in (lambda: "last known", [lambda: "last known"], FallbackChain(lambda: "last known")):
        assert policy.using(fallback=fallback)(Failing(99))() == "last known"


def test_a_time_limit_refuses_sync_functions_with_its_place(load: Load) -> None:
    policies = load("[p]\nretry = true\ntimeout = 2\n[q]\ntotal_timeout = 2")
    for name, place in (("p", r"p\.toml:3:1: p\.timeout"), ("q", r"p\.toml:5:1: q\.total_timeout")):
        policy = policies[name]
        with pytest.raises(TypeError, match=f"{place}: `timeout` is for async functions"):
            policy(Failing(0))
        with pytest.raises(TypeError, match=place):
            policy.call(Failing(0))


def test_time_limits_hold(load: Load, run: Run) -> None:
    policies = load("[p]\ntimeout = '10ms'\nretry = {max_attempts = 2, base_delay = 0}\n[q]\ntotal_timeout = '10ms'\nretry = true")

    async def hanging() -> None:
        from seawall._waiting import sleep_async

        await sleep_async(60)

    with pytest.raises(TimedOutError) as caught:
        run(policies["p"](hanging)())
    assert isinstance(caught.value, RetryExhaustedError) and caught.value.attempts == 2
    with pytest.raises(TimedOutError) as caught:
        run(policies["q"].call_async(hanging))
    assert not isinstance(caught.value, RetryExhaustedError)


def test_the_order_of_the_file_is_the_order_of_the_layers(load: Load, clock: ManualClock) -> None:
    policy = load("""
        [p]
        order = ["retry", "circuit_breaker"]
        retry = {max_attempts = 3, base_delay = 0}
        circuit_breaker = {failure_threshold = 2}
    """)["p"]
    operation = Failing(9)
    # Each attempt counts by itself, and what the breaker then says is not tried again.
    with pytest.raises(CircuitBreakerOpenError):
        policy(operation)()
    assert operation.calls == 2


def test_what_no_file_can_say_is_added_in_code(load: Load, clock: ManualClock) -> None:
    policy = load("[p]\nretry = {jitter = false, max_attempts = 2}\ncircuit_breaker = {failure_threshold = 1}")["p"]
    told: list[Any] = []
    mine = policy.using(
        retry_on=OSError,
        retry_after=lambda error: 7,
        retry_if_result=lambda value: value == "busy",
        on_retry=lambda attempt, error: told.append((attempt, error)),
        on_success=told.append,
        reraise=True,
    )
    assert mine.circuit_breaker is policy.circuit_breaker and mine.name == "p" and str(mine) == str(policy)
    assert mine.call(Failing(1)) == "done" and clock.sleeps == [7]
    assert told[0][0] == 1 and told[1] == "done"
    operation = Failing(9, LookupError)
    with pytest.raises(LookupError):
        mine.call(operation)
    assert operation.calls == 1
    # What was added stays when more is.
    assert mine.using(seed=1).retry is not None and mine.using(seed=1).retry.policy.retry_on is OSError  # type: ignore[union-attr]


def test_what_is_a_breaker_s_own_makes_a_new_breaker(load: Load) -> None:
    policy = load("[p]\ncircuit_breaker = {failure_threshold = 1}")["p"]
    changes: list[Any] = []
    mine = policy.using(expected_exception=OSError, on_state_change=lambda old, new: changes.append(new))
    assert policy.circuit_breaker is not None and mine.circuit_breaker is not None
    assert mine.circuit_breaker is not policy.circuit_breaker
    assert mine.circuit_breaker.settings == policy.circuit_breaker.settings
    with pytest.raises(LookupError):
        mine.call(Failing(9, LookupError))
    assert mine.circuit_breaker.state is CircuitState.CLOSED
    with pytest.raises(OSError):
        mine.call(Failing(9))
    assert changes == [CircuitState.OPEN] and policy.circuit_breaker.state is CircuitState.CLOSED
    assert mine.using(reraise=True).circuit_breaker is mine.circuit_breaker


def test_what_is_given_for_a_layer_that_is_not_there_is_checked_and_not_used(load: Load) -> None:
    policy = load("[p]\nretry = false")["p"]
    assert policy.using(fallback=lambda: 1, retry_on=OSError, seed=1, expected_exception=OSError).layers == ()
    nonsense: list[dict[str, Any]] = [
        {"retry_on": ()}, {"retry_on": 5}, {"retry_after": 5}, {"on_retry": 5}, {"reraise": 1}, {"seed": -1},
        {"seed": True}, {"seed": 2**64}, {"expected_exception": int}, {"on_state_change": 5}, {"fallback": 5},
        {"fallback": []}, {"sleep_func": 5}, {"fallback": FallbackChain(lambda: 1), "fallback_on": OSError},
        {"no_such_setting": 5},
    ]  # fmt: skip
    for given in nonsense:
        with pytest.raises((TypeError, ValueError)):
            policy.using(**given)


def test_a_type_that_cannot_be_joined_is_warned_of_where_it_is_named(load: Load) -> None:
    class Unjoinable(Exception):
        attempts = "mine"

    policy = load("[p]\nretry = true")["p"]
    with pytest.warns(RuntimeWarning, match="Unjoinable cannot be joined") as warned:
        policy.using(retry_on=Unjoinable)
    assert warned[0].filename == __file__
    policy.using(retry_on=Unjoinable, reraise=True)


def test_the_same_seed_draws_the_same_delays(load: Load, clock: ManualClock) -> None:
    policy = load("[p]\nretry = {max_attempts = 5}")["p"]

    def delays(seed: int) -> list[float]:
        clock.sleeps.clear()
        with pytest.raises(OSError):
            policy.using(seed=seed)(Failing(9))()
        return list(clock.sleeps)

    assert delays(7) == delays(7) != delays(8) and len(delays(7)) == 4


def test_mocks_and_clocks_take_over_policies_of_files(load: Load) -> None:
    policy = load("[p]\nretry = true\ncircuit_breaker = true")["p"]
    operation = Failing(0)
    guarded = policy(operation)
    with MockRetryExecutor() as mock:
        mock.configure_failures(2)
        assert guarded() == "done" and mock.attempt_count == 3 and operation.calls == 1


def test_a_program_without_policy_files_does_not_load_what_reads_them() -> None:
    code = "import seawall, sys; print('seawall._policies' in sys.modules); seawall.load_policies; print('seawall._policies' in sys.modules, seawall.Pipeline.__name__, 'load_policies' in dir(seawall))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["False", "True", "Pipeline", "True"]
    with pytest.raises(AttributeError, match="no_such_thing"):
        seawall.no_such_thing  # type: ignore[attr-defined]


def test_names_of_variables_may_be_of_any_bytes(load: Load) -> None:
    if os.name != "posix":
        pytest.skip("only where the environment is bytes")
    odd = {os.fsdecode(b"\xff"): os.fsdecode(b"\xfe"), "SEAWALL__P__TIMEOUT": "3s"}
    assert load("[p]\nretry = true", environment=odd)["p"].timeout == 3


def test_many_loops_and_threads_use_one_policy(load: Load) -> None:
    policy = load("[p]\nretry = {base_delay = 0}\ncircuit_breaker = true")["p"]

    @policy
    async def later(n: int) -> int:
        await asyncio.sleep(0)
        return n

    async def many() -> list[int]:
        return await asyncio.gather(*(later(n) for n in range(50)))

    assert asyncio.run(many()) == asyncio.run(many()) == list(range(50))
