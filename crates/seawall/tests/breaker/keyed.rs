use super::*;
use seawall::{Error as CallError, Name};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Weak,
};

static SHARDS: CircuitBreakers =
    CircuitBreakers::new(CircuitBreaker::builder().name("shards").failure_threshold(1));

fn tenants(max_keys: usize) -> CircuitBreakers {
    CircuitBreakers::new(sensitive()).max_keys(max_keys)
}

fn keys<C>(breakers: &CircuitBreakers<C>) -> Vec<String> {
    let mut keys = breakers.keys();
    keys.sort();
    keys
}

#[test]
fn one_dead_key_leaves_the_others_alone() {
    for shard in 0..10 {
        let ended = SHARDS.get(&shard).run_blocking(|| match shard {
            3 => Outcome::Err(Down(3)),
            other => Ok(other),
        });
        assert_eq!(ended.is_ok(), shard != 3);
    }
    assert!(SHARDS.get(&3).try_acquire().is_err());
    for shard in (0..10).filter(|shard| *shard != 3) {
        assert_eq!(SHARDS.get(&shard).state(), CircuitState::Closed);
    }
}

#[test]
fn a_breaker_is_named_by_its_key() {
    let named = CircuitBreakers::new(CircuitBreaker::builder().name("shards"));
    assert_eq!(named.get(&4).name().unwrap(), "shards[4]");
    assert_eq!(named.get("").name().unwrap(), "shards[]");
    assert_eq!(tenants(9).get("acme").name().unwrap(), "acme");
    let shard = named.get(&4);
    shard.isolate();
    let Err(CallError::Rejected(Rejection::CircuitBreakerOpen(open))) =
        shard.run_blocking(|| Outcome::Ok(1))
    else {
        panic!("it is isolated");
    };
    assert_eq!(open.name().unwrap(), "shards[4]");
}

#[test]
fn events_say_which_key() {
    let (events, _heard) = common::heard(|event| match event {
        Event::CircuitBreakerTransition { name, .. } => name.map(Name::to_string),
        _ => None,
    });
    let named = CircuitBreakers::new(sensitive().name("shards"));
    fail(&named.get(&7));
    fail(&named.get("eu"));
    assert_eq!(events.all(), ["shards[7]", "shards[eu]"]);
}

#[test]
fn keys_are_told_apart_by_their_text_whatever_their_type() {
    struct Tenant(u32);

    impl fmt::Display for Tenant {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)
        }
    }

    let breakers = tenants(9);
    let by_number = breakers.get(&4);
    assert!(Arc::ptr_eq(&by_number, &breakers.get("4")));
    assert!(Arc::ptr_eq(&by_number, &breakers.get(&String::from("4"))));
    assert!(Arc::ptr_eq(&by_number, &breakers.get(&Tenant(4))));
    assert!(Arc::ptr_eq(&by_number, &breakers.get(&'4')));
    assert!(Arc::ptr_eq(&by_number, &breakers.get(&format_args!("{}", 2 + 2))));
    assert!(Arc::ptr_eq(&by_number, &breakers.get(&4 as &dyn fmt::Display)));
    assert!(!Arc::ptr_eq(&by_number, &breakers.get(" 4")));
    assert_eq!(keys(&breakers), [" 4", "4"]);
    assert_eq!((breakers.len(), breakers.is_empty(), tenants(9).is_empty()), (2, false, true));
}

#[test]
fn a_key_of_any_length_and_script_is_a_key() {
    let breakers = tenants(9);
    let long = "x".repeat(1_000_000);
    let first = breakers.get(&long);
    assert!(Arc::ptr_eq(&first, &breakers.get(&long)));
    assert_eq!(breakers.get("λ\n\0").name().unwrap(), "λ\n\0");
    assert_eq!(breakers.len(), 2);
}

#[test]
fn the_key_unused_for_the_longest_time_makes_way() {
    let (clock, _scope) = virtual_time();
    let breakers = tenants(3);
    for key in ["a", "b", "c", "a"] {
        breakers.get(key);
        clock.advance(MS);
    }
    breakers.get("d");
    assert_eq!(keys(&breakers), ["a", "c", "d"]);
    breakers.get("e");
    assert_eq!(keys(&breakers), ["a", "d", "e"]);
}

#[test]
fn unhealthy_keys_stay_while_a_healthy_one_can_go() {
    let (clock, _scope) = virtual_time();
    let builder = CircuitBreaker::builder().failure_threshold(2).recovery_timeout(10 * S);
    let breakers = CircuitBreakers::new(builder).max_keys(5);
    let probed = breakers.get("half open");
    (0..2).for_each(|_| fail(&probed));
    clock.advance(10 * S);
    let _probe = probed.try_acquire().unwrap();
    (0..2).for_each(|_| fail(&breakers.get("open")));
    fail(&breakers.get("failing"));
    breakers.get("isolated").isolate();
    for n in 0..100 {
        clock.advance(MS);
        breakers.get(&n);
    }
    assert_eq!(keys(&breakers), ["99", "failing", "half open", "isolated", "open"]);
    assert!(breakers.get("open").try_acquire().is_err());
}

#[test]
fn where_all_are_unhealthy_the_one_unused_for_the_longest_time_makes_way() {
    let (clock, _scope) = virtual_time();
    let breakers = tenants(2);
    for key in ["a", "b", "a", "c"] {
        let breaker = breakers.get(key);
        if breaker.state().is_closed() {
            fail(&breaker);
        }
        clock.advance(MS);
    }
    assert_eq!(keys(&breakers), ["a", "c"]);
}

#[test]
fn a_healthy_key_that_was_just_used_goes_before_an_unhealthy_one_that_was_not() {
    let (clock, _scope) = virtual_time();
    let breakers = tenants(2);
    fail(&breakers.get("sick"));
    clock.advance(HOUR);
    breakers.get("well");
    breakers.get("new");
    assert_eq!(keys(&breakers), ["new", "sick"]);
}

#[test]
fn an_evicted_breaker_lives_as_long_as_its_calls_and_its_key_gets_a_new_one() {
    let breakers = tenants(1);
    let evicted = breakers.get("a");
    let permit = evicted.try_acquire().unwrap();
    breakers.get("b");
    permit.record(Verdict::TRANSIENT);
    assert_eq!(evicted.state(), CircuitState::Open);
    let anew = breakers.get("a");
    assert!(!Arc::ptr_eq(&evicted, &anew));
    assert_eq!(anew.state(), CircuitState::Closed);
}

#[test]
fn a_key_that_is_evicted_during_its_call_does_not_disturb_it() {
    let breakers = tenants(1);
    let ended = breakers.get("a").run_blocking(|| {
        breakers.get("b");
        breakers.get("a").run_blocking(|| Outcome::Ok(7))
    });
    assert_eq!(ended, Ok(Ok(7)).map(|inner: Result<u32, CallError<Down>>| inner.unwrap()));
}

#[test]
fn no_keys_at_most_are_one_at_most() {
    let breakers = tenants(0);
    fail(&breakers.get("a"));
    assert!(breakers.get("a").try_acquire().is_err());
    breakers.get("b");
    assert_eq!(keys(&breakers), ["b"]);
}

#[test]
fn there_are_1024_keys_at_most_unless_told_otherwise() {
    let breakers = CircuitBreakers::new(sensitive());
    (0..3000).for_each(|key| drop(breakers.get(&key)));
    assert_eq!(breakers.len(), 1024);
    assert_eq!(tenants(5000).max_keys(2).max_keys(3).len(), 0);
}

#[test]
fn threads_that_ask_for_a_new_key_at_once_get_the_same_breaker() {
    for _ in 0..50 {
        let breakers = tenants(4);
        let all = together(8, |thread| [0, 1, 2, 3].map(|n| breakers.get(&((n + thread) % 4))));
        for (thread, got) in all.iter().enumerate() {
            for (n, breaker) in got.iter().enumerate() {
                assert!(Arc::ptr_eq(breaker, &breakers.get(&((n + thread) % 4))));
            }
        }
        assert_eq!(breakers.len(), 4);
    }
}

#[test]
fn threads_that_fight_over_too_few_places_each_get_the_breaker_of_their_key() {
    let breakers = tenants(3);
    together(8, |thread| {
        for n in 0..2000 {
            let key = (n * 7 + thread) % 10;
            assert_eq!(breakers.get(&key).name().unwrap().as_str(), key.to_string());
        }
    });
    assert_eq!(breakers.len(), 3);
}

/// What an operator asks of a key, in the middle of its being printed.
struct Nested<'a>(&'a CircuitBreakers, u32);

impl fmt::Display for Nested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.1)?;
        match self.1.checked_sub(1) {
            Some(inner) => write!(f, "{}", self.0.get(&Nested(self.0, inner)).name().unwrap()),
            None => Ok(()),
        }
    }
}

#[test]
fn a_key_may_use_breakers_while_it_is_printed() {
    common::watched(|| {
        let breakers = tenants(9);
        assert_eq!(breakers.get(&Nested(&breakers, 2)).name().unwrap(), "2:1:0:");
        assert_eq!(keys(&breakers), ["0:", "1:0:", "2:1:0:"]);
    });
}

struct Breaks(fn() -> fmt::Result);

impl fmt::Display for Breaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("so far")?;
        (self.0)()
    }
}

#[test]
fn a_key_that_fails_to_print_is_what_it_wrote() {
    let breakers = tenants(9);
    let broken = breakers.get(&Breaks(|| Err(fmt::Error)));
    assert!(Arc::ptr_eq(&broken, &breakers.get("so far")));
}

#[test]
fn a_key_that_panics_leaves_the_breakers_as_they_were() {
    let breakers = tenants(9);
    breakers.get("a");
    let panics = || breakers.get(&Breaks(|| common::quiet_panic()));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert_eq!(breakers.get("b").name().unwrap(), "b");
    assert_eq!(keys(&breakers), ["a", "b"]);
}

/// Observers go with an evicted breaker, and what they hold with them.
#[test]
fn what_is_dropped_with_an_evicted_breaker_may_use_breakers() {
    struct Asks(Weak<CircuitBreakers>);

    impl seawall::Observe for Asks {
        fn observe(&self, _: &Event<'_>) {}
    }

    impl Drop for Asks {
        fn drop(&mut self) {
            if let Some(breakers) = self.0.upgrade() {
                breakers.get("c");
            }
        }
    }

    common::watched(|| {
        let breakers = Arc::new(tenants(1));
        breakers.get("a").observe(Asks(Arc::downgrade(&breakers)));
        breakers.get("b");
        assert_eq!(keys(&breakers), ["c"]);
    });
}

#[test]
fn a_thread_that_is_ending_can_still_ask() {
    struct AsksAtTheEnd;

    impl Drop for AsksAtTheEnd {
        fn drop(&mut self) {
            assert_eq!(SHARDS.get("at the end").name().unwrap(), "shards[at the end]");
        }
    }

    thread_local! {
        static FIRST: AsksAtTheEnd = const { AsksAtTheEnd };
    }

    // Tokio's clock is gone by then, where it can be paused: the thread keeps a clock of its own.
    let keeps_its_clock = || std::mem::forget(virtual_time());
    common::watched(move || {
        keeps_its_clock();
        FIRST.with(|_| SHARDS.get("before"));
    });
    common::watched(move || {
        keeps_its_clock();
        SHARDS.get("before");
        FIRST.with(|_| ());
    });
}

#[test]
fn a_predicate_is_every_keys() {
    let builder = CircuitBreaker::builder().failure_threshold(1);
    let picky = CircuitBreakers::new(builder.expected_exception(|down: &Down| down.0 > 5));
    for (key, down) in [("a", 5), ("b", 6)] {
        assert!(picky.get(key).run_blocking(|| Outcome::Err(Down(down))).is_err());
    }
    assert_eq!(picky.get("a").state(), CircuitState::Closed);
    assert_eq!(picky.get("b").state(), CircuitState::Open);
}

#[test]
fn settings_that_make_no_sense_are_refused_before_there_is_a_key() {
    let new = || CircuitBreakers::new(CircuitBreaker::builder().failure_threshold(0));
    let panicked = catch_unwind(new).expect_err("no threshold");
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panicked.downcast_ref::<&str>().copied()).unwrap();
    assert!(text.contains("failure_threshold"), "{text}");
}

#[test]
fn breakers_by_key_are_made_in_const_with_all_their_settings() {
    static FEW: CircuitBreakers =
        CircuitBreakers::new(CircuitBreaker::builder().failure_rate(0.5).over_calls(10))
            .max_keys(2);
    (0..9).for_each(|key| drop(FEW.get(&key)));
    assert_eq!(FEW.len(), 2);
}
