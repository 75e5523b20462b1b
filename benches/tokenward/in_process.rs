//! Parse, digest and cache hit, without a socket.

use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use criterion::Criterion;
use tokenward::authority::{Ask, Authority, Issue, Lifetime, Writer};
use tokenward::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use tokenward::journal::cursor::Epoch;
use tokenward::membership::{Seat, Terms};
use tokenward::store::Store;
use tokenward::store::memory::MemoryStore;
use tokenward::token::caller::Caller;
use tokenward::token::format::{Body, Format, Prefix};
use tokenward::token::id::Slug;
use tokenward::token::policy::{Policy, RateLimit};
use tokenward::token::scope::{Labels, Scope, Scopes};
use tokenward::token::secret::{PepperId, Peppers, Secret};
use tokenward::token::text::{Actor, Name, Subject};
use tokenward::token::time::Span;
use tokenward::token::verdict::{Need, Verdict};
use tokenward::verify::{Bounds, Cache, Consistency, MISSES, Verifier};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Tokens asked for in turn: more than fit the processor's nearest caches.
const TOKENS: usize = 10_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let without = Policy::default();
    // So many that no call is refused.
    let many = RateLimit {
        requests: NonZeroU32::MAX,
        period: Span::seconds(1),
    };
    let of_token = Policy {
        rate_limit_default: Some(many),
        ..Policy::default()
    };
    let of_both = Policy {
        rate_limit_subject_default: Some(many),
        ..of_token.clone()
    };
    hits(criterion, "verify/in process, cache hit", without);
    hits(criterion, "verify/in process, cache hit, a rate limit", of_token);
    hits(
        criterion,
        "verify/in process, cache hit, two rate limits",
        of_both,
    );
}

fn hits(criterion: &mut Criterion, name: &str, policy: Policy) {
    let runtime = Runtime::new().expect("a runtime");
    let (verifier, secrets) = runtime.block_on(prepare(policy));
    let need = Need {
        cost: Some(1),
        ..Need::default()
    };
    let mut next = secrets.iter().cycle();
    // A hit is ready at once; one poll on this thread is all it takes.
    let local = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            let secret = Secret::new(next.next().expect("it goes round").clone());
            let judged = local
                .block_on(verifier.verify(black_box(secret), &need, Consistency::Leased, &"caller"))
                .expect("it can be judged");
            assert!(matches!(judged.verdict, Verdict::Accepted { .. }));
        });
    });
}

async fn prepare(policy: Policy) -> (Verifier, Vec<String>) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Epoch::new([1; 16])));
    let pepper = Arc::new(Peppers::of_one(PepperId(1), &[7; 32]));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let seat = Seat::new(
        Arc::clone(&store),
        Arc::clone(&clock),
        Arc::clone(&entropy),
        "bench".to_owned(),
        Terms::DEFAULT,
    );
    let (writer, _) = Writer::spawn(Arc::clone(&store), Arc::clone(&clock), CancellationToken::new());
    let authority = Authority::new(
        Arc::clone(&store),
        writer,
        Arc::clone(&clock),
        entropy,
        Arc::clone(&pepper),
        Epoch::new([1; 16]),
    );
    let everything = Scope::try_from("*".to_owned()).expect("a scope");
    let ask = Ask {
        caller: Caller::certificate(
            Actor::try_from("bench".to_owned()).expect("a name"),
            Arc::new(Scopes::try_from(vec![everything]).expect("one scope")),
        ),
        request_id: None,
    };
    let slug = Slug::try_from("bench".to_owned()).expect("a slug");
    let format = Format {
        prefix: Prefix::try_from("tw_".to_owned()).expect("a prefix"),
        body: Body::Native,
    };
    let name = || Name::try_from(String::new()).expect("a name");
    authority
        .create_namespace(&ask, slug.clone(), name(), format, policy)
        .await
        .expect("it is created");
    let cache = Cache::new(NonZeroUsize::new(TOKENS * 2).expect("not zero"));
    let (verifier, _) = Verifier::start(
        store,
        seat,
        pepper,
        mpsc::channel(1).0,
        clock,
        Bounds {
            cache,
            misses: MISSES,
        },
        CancellationToken::new(),
    )
    .await
    .expect("it starts");
    let mut secrets = Vec::with_capacity(TOKENS);
    for _ in 0..TOKENS {
        let issue = Issue {
            namespace: slug.clone(),
            name: name(),
            subject: Subject::try_from("ada".to_owned()).expect("a subject"),
            scopes: Scopes::default(),
            labels: Labels::default(),
            lifetime: Lifetime::ByPolicy,
            networks: None,
            rate_limit: None,
        };
        let issued = authority.issue(&ask, issue).await.expect("it is issued");
        let secret = issued.record.secret.expose().to_owned();
        verifier
            .applied(issued.cursor.revision, std::time::Duration::from_secs(5))
            .await
            .expect("it is applied");
        verifier
            .verify(
                Secret::new(secret.clone()),
                &Need::default(),
                Consistency::Leased,
                &"caller",
            )
            .await
            .expect("it fills the cache");
        secrets.push(secret);
    }
    (verifier, secrets)
}
