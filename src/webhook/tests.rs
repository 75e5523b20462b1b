//! The client against sockets of its own, and what is sent.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::payload::{self, Facts};
use super::{Answer, Client, EXCERPT_BYTES_MAX, NotSent, Resolver, client_config};
use crate::journal::event::event;
use crate::journal::link::Link;
use crate::journal::samples::{issue, origin};
use crate::journal::{Draft, Entry, Revision, Stored};
use crate::token::Token;
use crate::token::change::{self, TokenChange};
use crate::token::lifecycle::Notice;
use crate::token::samples::{instant, name, token, withdrawal};
use crate::token::time::Span;
use crate::token::update::{Update, update};
use crate::token::webhook::reach::{OutOfReach, Reach};
use crate::token::webhook::url::EndpointUrl;

/// As long as it takes here.
const SEND_MAX: Duration = Duration::from_secs(15);

type Tested = Result<(), Box<dyn std::error::Error>>;

/// Answers with one list of addresses after the other; the last one again and again.
#[derive(Debug)]
struct Scripted(Mutex<VecDeque<Vec<IpAddr>>>);

#[async_trait]
impl Resolver for Scripted {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        let next = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        next.ok_or_else(|| io::Error::other("there is no such name"))
    }
}

fn client(answers: &[&[&str]], allow: &[&str]) -> Result<Client, Box<dyn std::error::Error>> {
    let answers = answers
        .iter()
        .map(|list| list.iter().map(|text| text.parse()).collect());
    let answers: Result<VecDeque<Vec<IpAddr>>, _> = answers.collect();
    let allow: Result<_, _> = allow.iter().map(|network| network.parse()).collect();
    let reach = Reach {
        allow: allow?,
        http: true,
    };
    Ok(Client::new(
        Arc::new(Scripted(Mutex::new(answers?))),
        client_config(Vec::new())?,
        reach,
        SEND_MAX,
    ))
}

/// A socket that answers each request with this, and what it was sent.
async fn answering(with: &'static str) -> io::Result<(u16, Arc<Mutex<Vec<String>>>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"{}") {
                let mut some = [0; 1024];
                match stream.read(&mut some).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => request.extend_from_slice(&some[..read]),
                }
            }
            seen.lock()
                .unwrap()
                .push(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(with.as_bytes()).await;
        }
    });
    Ok((port, requests))
}

async fn post(client: &Client, url: &str) -> Result<Answer, NotSent> {
    let url = EndpointUrl::parse(url).map_err(|_| NotSent::Request)?;
    client.post(&url, HeaderMap::new(), "{}".to_owned()).await
}

#[tokio::test]
async fn a_name_is_connected_to_at_the_address_that_was_checked() -> Tested {
    let (port, requests) = answering("HTTP/1.1 204 No Content\r\n\r\n").await?;
    // Whoever answers for the name says something else each time: what was checked is what counts.
    let client = client(&[&["127.0.0.1"], &["10.0.0.1"]], &["127.0.0.0/8"])?;
    let answer = post(&client, &format!("http://hooks.example:{port}/a?b=c")).await?;
    assert_eq!(answer.status, 204);
    let sent = requests.lock().unwrap().join("|");
    assert!(sent.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{sent}");
    assert!(
        sent.contains(&format!("host: hooks.example:{port}\r\n")),
        "{sent}"
    );
    let again = post(&client, &format!("https://hooks.example:{port}/")).await;
    assert!(
        matches!(again, Err(NotSent::OutOfReach(OutOfReach::NotPublic))),
        "{again:?}"
    );
    Ok(())
}

#[tokio::test]
async fn names_that_lead_where_nobody_should_be_are_not_connected_to() -> Tested {
    let (port, requests) = answering("HTTP/1.1 200 OK\r\n\r\n").await?;
    for addresses in [
        &["127.0.0.1"][..],
        &["::1"],
        &["0.0.0.0"],
        &["169.254.169.254"],
        &["::ffff:127.0.0.1"],
        &["10.0.0.1", "192.168.0.1"],
    ] {
        let client = client(&[addresses], &[])?;
        let answer = post(&client, &format!("https://public.example:{port}/")).await;
        assert!(
            matches!(answer, Err(NotSent::OutOfReach(_))),
            "{addresses:?}: {answer:?}"
        );
    }
    // No name at all, and http where it is not allowed.
    let nowhere = client(&[], &[])?;
    let answer = post(&nowhere, "https://nowhere.example/").await;
    assert!(matches!(answer, Err(NotSent::NotFound)), "{answer:?}");
    let plain = client(&[&["93.184.215.14"]], &["127.0.0.0/8"])?;
    let answer = post(&plain, "http://public.example/").await;
    assert!(
        matches!(answer, Err(NotSent::OutOfReach(OutOfReach::Http))),
        "{answer:?}"
    );
    assert!(requests.lock().unwrap().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() -> Tested {
    let (inner, reached) = answering("HTTP/1.1 200 OK\r\n\r\n").await?;
    let location =
        format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{inner}/\r\ncontent-length: 0\r\n\r\n");
    let (port, _) = answering(location.leak()).await?;
    let client = client(&[], &["127.0.0.0/8"])?;
    let answer = post(&client, &format!("http://127.0.0.1:{port}/")).await?;
    assert_eq!(answer.status, 302);
    assert!(reached.lock().unwrap().is_empty());
    Ok(())
}

#[tokio::test]
async fn an_answer_is_read_no_further_than_its_beginning() -> Tested {
    let long = format!(
        "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 99999999\r\n\r\n{}",
        "x".repeat(100_000)
    );
    let (port, _) = answering(long.leak()).await?;
    let client = client(&[], &["127.0.0.0/8"])?;
    let answer = post(&client, &format!("http://127.0.0.1:{port}/")).await?;
    assert_eq!((answer.status, answer.excerpt.len()), (503, EXCERPT_BYTES_MAX));
    assert_eq!(answer.retry_after.map(|after| after.as_secs()), Some(7));
    for garbage in ["SSH-2.0-OpenSSH\r\n", "", "HTTP/1.1 2"] {
        let (port, _) = answering(garbage).await?;
        let answer = post(&client, &format!("http://127.0.0.1:{port}/")).await;
        // What is no TLS is no answer either.
        assert!(
            matches!(answer, Err(NotSent::Http | NotSent::TooSlow)),
            "{garbage:?}: {answer:?}"
        );
        let answer = post(&client, &format!("https://127.0.0.1:{port}/")).await;
        assert!(
            matches!(answer, Err(NotSent::Tls(_) | NotSent::Connect)),
            "{garbage:?}: {answer:?}"
        );
        if garbage.is_empty() {
            break;
        }
    }
    Ok(())
}

fn entry(draft: &Draft, revision: u64) -> Result<Entry, Box<dyn std::error::Error>> {
    Ok(Entry::seal(draft, Revision::new(revision), &Link::START)?)
}

#[test]
fn a_message_says_what_the_token_was_and_nothing_secret() -> Tested {
    let before = Stored {
        record: token(1),
        version: Revision::new(2),
    };
    let suspended = TokenChange::Suspended(withdrawal(instant(1)));
    let told = entry(&Draft::of_token(origin(), Some(&before), suspended)?, 3)?;
    let phone = Update {
        name: Some(name("Phone")),
        ..Update::default()
    };
    let renamed = update(&token(1), &phone, instant(2))?.ok_or("it is one already")?;
    let draft = Draft::of_token(origin(), Some(&before), renamed)?;
    let later = entry(&draft, 4)?;
    let crate::journal::Record::Token(now) = draft.after() else {
        return Err("it is a token".into());
    };
    assert_eq!(now.name, name("Phone"));
    let facts = Facts::at(now, &[later]);
    assert_eq!(facts, Facts::at(&token(1), &[]));
    let event = event(&told).ok_or("it is an event")?;
    let text = payload::of_entry(&told, event, Some(&facts));
    let message: serde_json::Value = serde_json::from_str(&text)?;
    let data = message["data"].as_object().ok_or("it has data")?;
    let fields: Vec<_> = data.keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "actor",
            "id",
            "labels",
            "name",
            "namespace",
            "reason",
            "revision",
            "scopes",
            "subject",
            "time"
        ]
    );
    assert_eq!(message["type"], "token.suspended");
    assert_eq!(message["timestamp"], data["time"]);
    assert_eq!((&data["revision"], &data["actor"]), (&3.into(), &"ann".into()));
    assert_eq!(data["id"], token(1).id.to_string());
    let digest = String::from(token(1).secrets[0].digest);
    assert!(!text.contains(&digest[..8]) && !text.contains("digest"), "{text}");
    // Sent again, it is the same to the byte.
    assert_eq!(payload::of_entry(&told, event, Some(&facts)), text);
    let issued = entry(&issue(token(1)), 2)?;
    assert!(
        !payload::of_entry(
            &issued,
            crate::journal::event::event(&issued).ok_or("no event")?,
            None
        )
        .contains("digest")
    );
    let revoked = change::revoke(&token(1), withdrawal(instant(1))).ok_or("it is one already")?;
    let revoked = entry(&Draft::of_token(origin(), Some(&before), revoked)?, 3)?;
    assert!(crate::journal::event::event(&revoked).is_some_and(|event| event.reason.is_some()));
    Ok(())
}

#[test]
fn what_time_brought_is_told_with_what_it_is_measured_by() -> Tested {
    let before = Stored {
        record: Token {
            expire_time: Some(instant(9)),
            ..token(1)
        },
        version: Revision::new(2),
    };
    let (after, since) = (Span::days(90), instant(0));
    let expire_time = instant(9);
    for (notice, kind, field, time) in [
        (
            Notice::Expiring {
                lead: after,
                expire_time,
            },
            "token.expiring",
            "expire_time",
            expire_time,
        ),
        (
            Notice::RotationDue {
                version: 1,
                after,
                since,
            },
            "token.rotation_due",
            "secret_create_time",
            since,
        ),
        (
            Notice::Unused { after, since },
            "token.unused",
            "unused_since",
            since,
        ),
    ] {
        let told = TokenChange::Told(notice);
        let told = entry(&Draft::of_token(origin(), Some(&before), told)?, 3)?;
        let event = event(&told).ok_or("it is an event")?;
        let facts = Facts::at(&before.record, &[]);
        let text = payload::of_entry(&told, event, Some(&facts));
        let message: serde_json::Value = serde_json::from_str(&text)?;
        assert_eq!(message["type"], kind);
        assert_eq!(message["data"][field], time.to_string());
        assert_eq!(message["data"]["name"], "Laptop");
        assert!(!text.contains("digest"), "{text}");
    }
    Ok(())
}
