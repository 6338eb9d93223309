//! Dumps of schemas, and statements that change tables.

use std::borrow::Cow;

use binlogsec_core::event::query::Query;
use binlogsec_core::read::rows::schema::{Found, Schema};

/// Up to the first zero byte a dump; behind it statements, each ended by a zero byte, of which the
/// first two bytes are the session's character set and the third, by its lowest bit, whether
/// backslashes have a meaning.
pub(crate) fn schema(data: &[u8]) {
    let mut parts = data.split(|&byte| byte == 0);
    let mut schema = Schema::new();
    schema.read(parts.next().unwrap_or_default(), Some("d"));
    for part in parts {
        let (head, statement) = part.split_at(part.len().min(3));
        let mode = u64::from(head.get(2).is_some_and(|byte| byte & 1 == 1)) << 20;
        let charset = [head.first().copied().unwrap_or(45), head.get(1).copied().unwrap_or(0)];
        let variables = [&[1][..], &mode.to_le_bytes(), &[4], &charset, &[0; 4]].concat();
        let query = Query {
            thread_id: 1,
            execution_time: 0,
            error_code: 0,
            database: b"d",
            variables: &variables,
            statement: Cow::Borrowed(statement),
            length: statement.len(),
        };
        let before = schema.len();
        let followed = schema.follow_query(&query);
        // A statement that is about no table changes none.
        if followed.changes.is_empty() && followed.notes.is_empty() {
            assert_eq!(schema.len(), before);
        }
    }
    for (database, name) in schema.names() {
        let Found::Known(table) = schema.find(database.as_bytes(), name.as_bytes()) else {
            assert!(database.is_empty(), "a table that is known is found");
            continue;
        };
        assert!(table.columns.len() <= 4096);
        for (index, column) in table.columns.iter().enumerate() {
            let at = table.position(&column.name);
            assert!(at.is_some_and(|at| at <= index));
        }
        for position in table.primary_key_positions() {
            assert!(position < table.columns.len());
        }
    }
}
