//! Generates the gRPC types from `proto/` without protoc, and the descriptors reflection serves.

use std::path::PathBuf;

const SERVICES: [&str; 9] = [
    "tokenward/v1/audit_service.proto",
    "tokenward/v1/caller_service.proto",
    "tokenward/v1/import_service.proto",
    "tokenward/v1/namespace_service.proto",
    "tokenward/v1/revocation_service.proto",
    "tokenward/v1/subject_service.proto",
    "tokenward/v1/token_service.proto",
    "tokenward/v1/verification_service.proto",
    "tokenward/v1/webhook_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(SERVICES)?;
    compiler.open_file("tokenward/v1/error.proto")?;
    // The encoded set, not the decoded one: decoding drops custom options such as field_behavior.
    std::fs::write(
        out.join("descriptors.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .codec_path("crate::proto::BoundedCodec")
        // A derived Debug would print the secret or the digest these carry, or the request id that shows it again.
        .skip_debug([
            "tokenward.v1.ImportRow",
            "tokenward.v1.IssueRequest",
            "tokenward.v1.IssueResponse",
            "tokenward.v1.RevokeLeakedRequest",
            "tokenward.v1.RotateRequest",
            "tokenward.v1.RotateResponse",
            "tokenward.v1.VerifyRequest",
            "tokenward.v1.CreateEndpointRequest",
            "tokenward.v1.CreateEndpointResponse",
            "tokenward.v1.RotateEndpointSecretRequest",
            "tokenward.v1.RotateEndpointSecretResponse",
        ])
        // Skipped with its message, though it holds nothing secret.
        .type_attribute("tokenward.v1.IssueRequest.expiration", "#[derive(Debug)]")
        .type_attribute("tokenward.v1.RotateRequest.overlap_mode", "#[derive(Debug)]")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
