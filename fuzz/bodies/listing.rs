//! What a store answers that is asked to list objects.

use std::path::Path;

use binlogsec_core::log::error::describe;
use binlogsec_stores::list_answers;

/// The input is pages of a listing, with a zero byte between them.
pub(crate) fn store_listing(data: &[u8]) {
    let pages: Vec<_> = data.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    let most = data.len();
    let mut count = 0;
    let listed = list_answers(Path::new("s3://bucket/a/"), pages, &mut |entries| {
        for entry in &entries {
            assert!(entry.path.starts_with("s3://bucket/a/"), "{:?}", entry.path);
        }
        count += entries.len();
        true
    });
    assert!(count <= most);
    if let Err(error) = listed {
        let said = describe(&error);
        assert!(said.len() < 8 << 10, "{} bytes", said.len());
    }
}
