//! NamespaceService.

use super::decode::Fields;
use super::page::{self, ListKey};
use super::{Api, Problem, ask, convert, guard, policy};
use crate::proto::v1;
use crate::proto::v1::secret_format::Body as Shape;
use crate::token::caller::Caller;
use crate::token::format::{Body, Format, Prefix};
use crate::token::id::Slug;
use crate::token::namespace::Namespace;
use crate::token::permission::Right;
use crate::token::text::Name;

/// In a mask.
const NAME: &str = "display_name";

pub(super) async fn create_namespace(
    api: &Api,
    caller: &Caller,
    request: v1::CreateNamespaceRequest,
) -> Result<v1::CreateNamespaceResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let namespace = request.namespace.unwrap_or_default();
    let slug = fields.slug("namespace.slug", namespace.slug);
    if slug.as_ref().is_some_and(|slug| slug.as_str() == Slug::SYSTEM) {
        fields.wrong(
            "namespace.slug",
            format_args!("must not be {}, which is reserved", Slug::SYSTEM),
        );
    }
    let display_name = fields.take("namespace.display_name", Name::try_from(namespace.display_name));
    let format = format(&mut fields, namespace.format);
    let policy = policy::decode(&mut fields, namespace.policy.unwrap_or_default());
    let (Some(slug), Some(display_name), Some(format)) = (slug, display_name, format) else {
        return Err(fields.problem());
    };
    fields.check()?;
    let created = api
        .authority
        .create_namespace(&ask, slug, display_name, format, policy)
        .await?;
    // Its tokens are recognised from now on.
    api.in_force(created.cursor).await?;
    Ok(v1::CreateNamespaceResponse {
        namespace: Some(shown(&created.record)),
        cursor: created.cursor.to_string(),
    })
}

pub(super) async fn get_namespace(
    api: &Api,
    caller: &Caller,
    request: v1::GetNamespaceRequest,
) -> Result<v1::GetNamespaceResponse, Problem> {
    let mut fields = Fields::default();
    let Some(slug) = fields.slug("namespace", request.namespace) else {
        return Err(fields.problem());
    };
    guard::named(caller, Right::NamespacesList, &slug)?;
    let namespace = api.authority.namespace(slug).await?;
    Ok(v1::GetNamespaceResponse {
        namespace: Some(shown(&namespace)),
    })
}

pub(super) async fn list_namespaces(
    api: &Api,
    caller: &Caller,
    request: &v1::ListNamespacesRequest,
) -> Result<v1::ListNamespacesResponse, Problem> {
    let mut fields = Fields::default();
    let size = page::size(&mut fields, request.page_size);
    fields.check()?;
    let list = ListKey::of(api.authority.opaque_key(), &[b"ListNamespaces"]);
    let slug = |bytes: &[u8]| Slug::try_from(String::from_utf8_lossy(bytes).into_owned());
    let after = list.position(&request.page_token, slug)?;
    let (namespaces, next) = api
        .authority
        .namespaces(|slug| caller.may(Right::NamespacesList, slug), after, size)
        .await?;
    Ok(v1::ListNamespacesResponse {
        namespaces: namespaces.iter().map(|namespace| shown(namespace)).collect(),
        next_page_token: next
            .map(|last| list.token(last.as_str().as_bytes()))
            .unwrap_or_default(),
    })
}

pub(super) async fn update_namespace(
    api: &Api,
    caller: &Caller,
    request: v1::UpdateNamespaceRequest,
) -> Result<v1::UpdateNamespaceResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let namespace = request.namespace.unwrap_or_default();
    let mask = fields.mask(
        request.update_mask,
        |path| path == NAME || policy::is_masked(path),
        "display_name, policy or policy.<rule>",
    );
    let slug = fields.slug("namespace.slug", namespace.slug);
    let display_name = fields.take("namespace.display_name", Name::try_from(namespace.display_name));
    let display_name = display_name.filter(|_| mask.is_empty() || mask.iter().any(|path| path == NAME));
    let policy = policy::update(&mut fields, &mask, namespace.policy);
    if policy.is_some() && slug.as_ref().is_some_and(|slug| slug.as_str() == Slug::SYSTEM) {
        fields.wrong(
            "namespace.policy",
            format_args!("must not be set: {} has none", Slug::SYSTEM),
        );
    }
    let Some(slug) = slug else {
        return Err(fields.problem());
    };
    fields.check()?;
    let etag = Some(namespace.etag).filter(|etag| !etag.is_empty());
    let updated = api
        .authority
        .update_namespace(&ask, slug, etag, display_name, policy)
        .await?;
    // A policy that takes something away has done so everywhere.
    api.in_force(updated.cursor).await?;
    Ok(v1::UpdateNamespaceResponse {
        namespace: Some(shown(&updated.record)),
        cursor: updated.cursor.to_string(),
    })
}

fn format(fields: &mut Fields, format: Option<v1::SecretFormat>) -> Option<Format> {
    let Some(v1::SecretFormat { prefix, body }) = format else {
        fields.wrong("namespace.format", "must be set");
        return None;
    };
    let prefix = fields.take("namespace.format.prefix", Prefix::try_from(prefix));
    let body = match body {
        None => {
            fields.wrong(
                "namespace.format.body",
                "must be set: native, hex, base64url or base62",
            );
            None
        }
        Some(Shape::Native(_)) => Some(Body::Native),
        Some(Shape::Hex(hex)) => fields.take("namespace.format.hex.length", Body::hex(hex.length.into())),
        Some(Shape::Base64url(base64url)) => fields.take(
            "namespace.format.base64url.length",
            Body::base64url(base64url.length.into()),
        ),
        Some(Shape::Base62(base62)) => fields.take(
            "namespace.format.base62.length",
            Body::base62(base62.length.into()),
        ),
    };
    Some(Format {
        prefix: prefix?,
        body: body?,
    })
}

fn shown(namespace: &Namespace) -> v1::Namespace {
    v1::Namespace {
        slug: namespace.slug.to_string(),
        display_name: namespace.display_name.to_string(),
        format: Some(convert::format(&namespace.format)),
        policy: Some(policy::encode(&namespace.policy)),
        create_time: Some(convert::timestamp(namespace.create_time)),
        update_time: Some(convert::timestamp(namespace.update_time)),
        etag: namespace.etag(),
        not_before_time: convert::time_of(namespace.not_before.as_ref()),
        not_before_reason: convert::reason_of(namespace.not_before.as_ref()),
    }
}
