//! Whoever only waits at the metrics does not keep them from others for long.

use std::error::Error;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;

async fn scrape(address: SocketAddr) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(start_paused = true)]
async fn connections_that_say_nothing_are_bounded_in_number_and_time() -> Result<(), Box<dyn Error>> {
    let metrics = Metrics::start(
        SocketAddr::from(([127, 0, 0, 1], 0)),
        Registry::default(),
        Box::new(|| Ok(())),
    )
    .await?;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(TcpStream::connect(metrics.address).await?);
    }
    let begun = Instant::now();
    assert!(scrape(metrics.address).await?.starts_with("HTTP/1.1 200 "));
    let waited = begun.elapsed();
    assert!(waited >= SCRAPE_MAX && waited < SCRAPE_MAX * 2, "{waited:?}");
    // One place is enough.
    drop(silent);
    assert!(scrape(metrics.address).await?.starts_with("HTTP/1.1 200 "));
    metrics.end().await;
    Ok(())
}
