//! With what a command calls: the credential, from a file, the environment or a profile, never the arguments.

use std::path::Path;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::serve::private_file;
use crate::token::format::SECRET_BYTES_MAX;
use crate::token::secret::Secret;

const VARIABLE: &str = "TOKENWARD_CREDENTIAL";

/// Adds the credential to every call, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    pub(super) const NONE: Bearer = Bearer(None);

    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn new(secret: &Secret) -> Result<Bearer, Failure> {
        let value = Zeroizing::new(format!("Bearer {}", secret.expose()));
        let mut value: MetadataValue<Ascii> = value
            .parse()
            .map_err(|_| Failure::new("the credential has characters that no credential has"))?;
        // Nothing prints it.
        value.set_sensitive(true);
        Ok(Bearer(Some(value)))
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

/// The credential in the file, else the one in the environment; `None`: neither is there.
pub(super) fn given(file: Option<&Path>) -> Result<Option<Secret>, Failure> {
    if let Some(path) = file {
        let text = private_file::read(path, SECRET_BYTES_MAX as u64).map_err(Failure::new)?;
        let missing = || Failure::new(format_args!("{} does not exist", path.display()));
        let text = text.ok_or_else(missing)?;
        return Ok(Some(Secret::new(text.trim_end().to_owned())));
    }
    Ok(std::env::var(VARIABLE)
        .ok()
        .filter(|text| !text.is_empty())
        .map(Secret::new))
}
