//! The admin of every test. A server finds the pepper and the first credential where it would put them, so the
//! credential is known to every client beforehand.

use std::path::PathBuf;
use std::sync::LazyLock;

use tokenward::clock::{Entropy, ManualEntropy};
use tokenward::serve::{Options, private_file};
use tokenward::token::format::{Body, Format, Prefix};
use tokenward::token::secret::{Pepper, PepperId, Peppers};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// A byte of its key, so many times.
const PEPPER_BYTE: u8 = 7;

/// Its secret.
#[expect(clippy::expect_used, reason = "without it no test can begin")]
pub(crate) static CREDENTIAL: LazyLock<String> = LazyLock::new(|| {
    let format = Format {
        prefix: Prefix::try_from("tokenward_".to_owned()).expect("a prefix"),
        body: Body::Native,
    };
    let entropy = ManualEntropy::seeded(7);
    let secret = format.mint(&peppers(), &mut |bytes| entropy.fill(bytes));
    secret.expose().to_owned()
});

/// What the pepper file holds.
pub(crate) fn peppers() -> Peppers {
    Peppers::of_one(PepperId(1), &[PEPPER_BYTE; Pepper::KEY_BYTES])
}

/// Where the pepper and the credential are kept, for all tests.
pub(crate) struct Files {
    pub(crate) pepper: PathBuf,
    pub(crate) admin: PathBuf,
}

#[expect(clippy::expect_used, reason = "without them no test can begin")]
pub(crate) static FILES: LazyLock<Files> = LazyLock::new(|| {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let key = format!("{PEPPER_BYTE:02x}").repeat(Pepper::KEY_BYTES);
    let files = Files {
        pepper: folder.join("admin.pepper"),
        admin: folder.join("admin.credential"),
    };
    // Several binaries may do so at once: each writes the same.
    private_file::replace(&files.pepper, &format!("1 {key}\n")).expect("a pepper file");
    private_file::replace(&files.admin, &CREDENTIAL).expect("a credential file");
    files
});

/// Has a server know the admin.
pub(crate) fn known_to(options: &mut Options) {
    options.pepper_file = Some(FILES.pepper.clone());
    options.admin_file = Some(FILES.admin.clone());
}

/// Adds a credential to every call.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    pub(crate) fn admin() -> Bearer {
        Bearer::new(&CREDENTIAL)
    }

    pub(crate) fn new(credential: &str) -> Bearer {
        Bearer(format!("Bearer {credential}").parse().ok())
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Bearer(Some(value)) = self {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}
