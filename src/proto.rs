//! The generated gRPC types of `proto/tokenward/v1`. Only the edges and the command line import them.

mod codec;

pub use codec::BoundedCodec;

/// Messages, servers and clients of package `tokenward.v1`.
pub mod v1 {
    #![expect(
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        unused_qualifications,
        reason = "generated"
    )]
    tonic::include_proto!("tokenward.v1");
}

/// What reflection serves: every file of the package with its comments and options.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// Shows every field but the one that is secret.
macro_rules! redacted_debug {
    ($message:ident { $($field:ident),* }, not $secret:ident) => {
        impl std::fmt::Debug for v1::$message {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($message))
                    $(.field(stringify!($field), &self.$field))*
                    .field(stringify!($secret), &format_args!("[redacted]"))
                    .finish()
            }
        }
    };
}
// Its hint is left out: who knows only the text may send all of it.
redacted_debug!(ImportRow { key, name, subject, scopes, labels, create_time, expire_time }, not digest);

impl std::fmt::Debug for v1::import_row::Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

redacted_debug!(RevokeLeakedRequest { reason }, not secret);
redacted_debug!(IssueRequest { namespace, name, subject, scopes, labels, expiration, networks, rate_limit }, not request_id);
redacted_debug!(IssueResponse { token, cursor }, not secret);
redacted_debug!(RotateRequest { token_id, overlap_mode }, not request_id);
redacted_debug!(RotateResponse { token, cursor }, not secret);
redacted_debug!(VerifyRequest { namespace, required_scopes, context, cost }, not secret);
redacted_debug!(CreateEndpointRequest { namespace, url, events, description }, not request_id);
redacted_debug!(CreateEndpointResponse { endpoint, cursor }, not secret);
redacted_debug!(RotateEndpointSecretRequest { namespace, endpoint_id, overlap }, not request_id);
redacted_debug!(RotateEndpointSecretResponse { endpoint, cursor }, not secret);
