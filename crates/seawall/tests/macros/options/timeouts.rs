use super::*;

const LIMIT: Duration = Duration::from_millis(1500);

macro_rules! limits {
    ($(($($option:tt)*) == $limit:expr;)+) => {
        #[tokio::test(start_paused = true)]
        async fn limit() {
            $({
                #[timeout($($option)*)]
                async fn limited() -> Rich<u32> {
                    pending().await
                }
                let before = tokio::time::Instant::now();
                assert!(matches!(limited().await, Err(Error::Rejected(_))));
                assert_eq!(before.elapsed(), $limit);
            })+
        }
    };
}

limits! {
    (2) == 2 * S;
    (1.5) == LIMIT;
    ("500ms") == 500 * MS;
    ("1.5s") == LIMIT;
    ("2min") == 120 * S;
    (LIMIT) == LIMIT;
    (LIMIT * 2) == 3 * S;
    (Duration::from_secs(4)) == 4 * S;
    (limit = 3) == 3 * S;
    (limit = "1h") == HOUR;
    (limit = LIMIT) == LIMIT;
}

#[timeout(limit)]
async fn by_argument(limit: Duration) -> Rich<u32> {
    poll_fn(|_| std::task::Poll::Pending).await
}

#[tokio::test(start_paused = true)]
async fn limit_of_an_argument() {
    let before = tokio::time::Instant::now();
    assert!(by_argument(7 * S).await.is_err());
    assert_eq!(before.elapsed(), 7 * S);
}
