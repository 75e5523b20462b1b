//! Malformed requests about namespaces.

use prost_types::FieldMask;
use tokenward::proto::v1;
use tokenward::proto::v1::secret_format::Body;
use tonic::Code;

use super::Expected::{Fields, Reason};
use super::ground::Ground;
use super::{Call, Row};
use crate::server::{hex, native};

pub(crate) fn creation_rows() -> Vec<Row> {
    let base64url = |length| Some(Body::Base64url(v1::Base64UrlBody { length }));
    let base62 = |length| Some(Body::Base62(v1::Base62Body { length }));
    let prefix = |prefix: &str| create("other", prefix, Some(native()));
    let overlaps = || Reason(Code::AlreadyExists, "PREFIX_OVERLAPS");
    let wrong_prefix = || Fields(&["namespace.format.prefix"]);
    vec![
        (
            "CreateNamespace: nothing",
            Call::CreateNamespace(v1::CreateNamespaceRequest::default()),
            Fields(&["namespace.slug", "namespace.format"]),
        ),
        (
            "CreateNamespace: reserved",
            create("system", "sys_", Some(native())),
            Fields(&["namespace.slug"]),
        ),
        (
            "CreateNamespace: slug",
            create("No_tes", "x_", Some(native())),
            Fields(&["namespace.slug"]),
        ),
        (
            "CreateNamespace: taken",
            create("notes", "other_", Some(native())),
            Reason(Code::AlreadyExists, "NAMESPACE_EXISTS"),
        ),
        ("CreateNamespace: prefix taken", prefix("kn_"), overlaps()),
        ("CreateNamespace: prefix extends", prefix("kn_live_"), overlaps()),
        (
            "CreateNamespace: prefix without _",
            prefix("other"),
            wrong_prefix(),
        ),
        (
            "CreateNamespace: long prefix",
            prefix("abcdefghijklmnop_"),
            wrong_prefix(),
        ),
        (
            "CreateNamespace: no body",
            create("other", "o_", None),
            Fields(&["namespace.format.body"]),
        ),
        (
            "CreateNamespace: hex 31",
            create("other", "o_", Some(hex(31))),
            Fields(&["namespace.format.hex.length"]),
        ),
        (
            "CreateNamespace: hex 129",
            create("other", "o_", Some(hex(129))),
            Fields(&["namespace.format.hex.length"]),
        ),
        (
            "CreateNamespace: hex -1",
            create("other", "o_", Some(hex(-1))),
            Fields(&["namespace.format.hex.length"]),
        ),
        (
            "CreateNamespace: base64url 21",
            create("other", "o_", base64url(21)),
            Fields(&["namespace.format.base64url.length"]),
        ),
        (
            "CreateNamespace: base62 129",
            create("other", "o_", base62(129)),
            Fields(&["namespace.format.base62.length"]),
        ),
    ]
}

impl Ground {
    pub(crate) fn namespace_rows(&self) -> Vec<Row> {
        let damaged = self.next_namespace[1..].to_owned();
        let page = || Reason(Code::InvalidArgument, "PAGE_TOKEN_INVALID");
        let mask = |path: &str| {
            Some(FieldMask {
                paths: vec!["display_name".to_owned(), path.to_owned()],
            })
        };
        vec![
            ("GetNamespace: nothing", get_namespace(""), Fields(&["namespace"])),
            (
                "GetNamespace: a path",
                get_namespace("namespaces/notes"),
                Fields(&["namespace"]),
            ),
            (
                "GetNamespace: unknown",
                get_namespace("nobody"),
                Reason(Code::NotFound, "NAMESPACE_NOT_FOUND"),
            ),
            (
                "ListNamespaces: size",
                list_namespaces(-5, ""),
                Fields(&["page_size"]),
            ),
            (
                "ListNamespaces: damaged token",
                list_namespaces(0, &damaged),
                page(),
            ),
            (
                "ListNamespaces: foreign token",
                list_namespaces(0, &self.next_entry),
                page(),
            ),
            (
                "UpdateNamespace: nothing",
                update(|n| n.slug.clear(), None),
                Fields(&["namespace.slug"]),
            ),
            (
                "UpdateNamespace: unknown",
                update(|n| n.slug = "nobody".to_owned(), None),
                Reason(Code::NotFound, "NAMESPACE_NOT_FOUND"),
            ),
            (
                "UpdateNamespace: slug in mask",
                update(|_| {}, mask("slug")),
                Fields(&["update_mask.paths[1]"]),
            ),
            (
                "UpdateNamespace: unknown mask",
                update(|_| {}, mask("*")),
                Fields(&["update_mask.paths[1]"]),
            ),
            (
                "UpdateNamespace: zero-width name",
                update(|n| n.display_name = "a\u{200b}b".to_owned(), None),
                Fields(&["namespace.display_name"]),
            ),
            (
                "UpdateNamespace: wrong etag",
                update(|n| n.etag = "1".to_owned(), None),
                Reason(Code::Aborted, "ETAG_MISMATCH"),
            ),
        ]
    }
}

fn create(slug: &str, prefix: &str, body: Option<Body>) -> Call {
    Call::CreateNamespace(v1::CreateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: slug.to_owned(),
            format: Some(v1::SecretFormat {
                prefix: prefix.to_owned(),
                body,
            }),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn get_namespace(namespace: &str) -> Call {
    Call::GetNamespace(v1::GetNamespaceRequest {
        namespace: namespace.to_owned(),
    })
}

fn list_namespaces(page_size: i32, page_token: &str) -> Call {
    Call::ListNamespaces(v1::ListNamespacesRequest {
        page_size,
        page_token: page_token.to_owned(),
    })
}

fn update(change: impl FnOnce(&mut v1::Namespace), update_mask: Option<FieldMask>) -> Call {
    let mut namespace = v1::Namespace {
        slug: "notes".to_owned(),
        display_name: "Notes".to_owned(),
        ..Default::default()
    };
    change(&mut namespace);
    Call::UpdateNamespace(v1::UpdateNamespaceRequest {
        namespace: Some(namespace),
        update_mask,
        ..Default::default()
    })
}
