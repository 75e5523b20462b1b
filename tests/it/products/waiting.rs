//! What shows a moment later is waited for.

use tokenward::proto::v1::{self, Verdict};

use super::Scene;
use crate::place::Fallible;
use crate::server::Outcome;

impl Scene {
    /// The token once it is `wanted`: what follows a Verify is written a moment later.
    pub(super) async fn until(
        &mut self,
        token_id: &str,
        wanted: impl Fn(&v1::Token) -> bool,
    ) -> Fallible<v1::Token> {
        loop {
            let token = self.get(token_id).await?;
            if wanted(&token) {
                return Ok(token);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Uses a token until it was used too often; what is told then.
    pub(super) async fn too_many(&mut self, secret: &str) -> Fallible<v1::RateLimitStatus> {
        for _ in 0..10_000 {
            let judged = self.client.verify(secret, &[]).await?;
            if judged.verdict() == Verdict::RateLimited {
                return Ok(judged.rate_limit.ok_or("nothing is told of the limit")?);
            }
        }
        Err("it is never too often".into())
    }

    /// The calls that were refused and named this token, once there is one: they are written a moment later.
    pub(super) async fn until_refused(
        &mut self,
        namespace: &str,
        token_id: &str,
    ) -> Fallible<Vec<v1::RefusedCall>> {
        loop {
            let request = v1::ListRefusedCallsRequest {
                namespace: namespace.to_owned(),
                token_id: token_id.to_owned(),
                ..Default::default()
            };
            let listed = self.client.audit.list_refused_calls(request).await?.into_inner();
            if !listed.refused_calls.is_empty() {
                return Ok(listed.refused_calls);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Has a call judged as a gateway does.
    pub(super) async fn call_from(&mut self, secret: &str, address: &str, path: &str) -> Outcome {
        let request = v1::VerifyRequest {
            secret: secret.to_owned(),
            context: Some(v1::RequestContext {
                client_address: address.to_owned(),
                method: "GET".to_owned(),
                path: path.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.client.verification.verify(request).await?;
        Ok(())
    }

    /// The calls with a token of knowmind, newest first, once there are so many: they are written a moment later.
    pub(super) async fn until_called(
        &mut self,
        token_id: &str,
        count: usize,
    ) -> Fallible<Vec<v1::AccessRecord>> {
        loop {
            let request = v1::ListAccessRequest {
                namespace: "knowmind".to_owned(),
                token_id: token_id.to_owned(),
                ..Default::default()
            };
            let listed = self.client.audit.list_access(request).await?.into_inner();
            if listed.records.len() >= count {
                return Ok(listed.records);
            }
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn rotate_after(&mut self, slug: &str, after: prost_types::Duration) -> Outcome {
        let request = v1::UpdateNamespaceRequest {
            namespace: Some(v1::Namespace {
                slug: slug.to_owned(),
                policy: Some(v1::NamespacePolicy {
                    rotation_due_after: Some(after),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["policy.rotation_due_after".to_owned()],
            }),
            ..Default::default()
        };
        self.client.namespaces.update_namespace(request).await?;
        Ok(())
    }

    /// Returns once this was told of a token: what time brings is looked at a while later.
    pub(super) async fn until_told(&mut self, token_id: &str, kind: v1::EntryKind) -> Outcome {
        while !self.story(token_id).await?.contains(&kind) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    pub(super) async fn until_verdict(&mut self, secret: &str, wanted: Verdict) -> Outcome {
        while self.client.verdict(secret).await? != wanted {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
