//! The journal as a client reads it.

use tokenward::journal::link::Link;
use tokenward::proto::v1;
use tonic::Status;

use crate::server::Client;

/// Every entry but those of the first credential, once it is certain that revisions are dense, that each link
/// follows from the one before, and that the head is on that chain. What a server notes by itself may come after it.
pub(crate) async fn read(client: &mut Client) -> Result<Vec<v1::Entry>, Status> {
    let head = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    let (mut revision, mut link) = (0, Link::START);
    let mut at_head = None;
    loop {
        let request = v1::ListEntriesRequest {
            page_size: 1000,
            page_token,
            ..Default::default()
        };
        let page = client.audit.list_entries(request).await?.into_inner();
        for entry in page.entries {
            revision += 1;
            link = link.then(&entry.body);
            assert_eq!(
                (entry.revision, &entry.link[..]),
                (revision, &link.as_bytes()[..])
            );
            if revision == head.revision {
                at_head = Some(link);
            }
            if entry.namespace != "system" {
                entries.push(entry);
            }
        }
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    let at_head = at_head.as_ref().map(|link| &link.as_bytes()[..]);
    assert_eq!(at_head, Some(&head.link[..]), "revision {}", head.revision);
    Ok(entries)
}
