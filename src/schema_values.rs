//! Values that published schemas list.

use binlogsec_checks::finding::rules;
use serde_json::Value;

/// Every kind, and none.
pub(super) fn kinds_or_null() -> Vec<Value> {
    let kinds = binlogsec_core::log::kind::KINDS.into_iter().map(Value::from);
    kinds.chain([Value::Null]).collect()
}

/// Codes of all rules.
pub(super) fn rule_codes() -> Vec<&'static str> {
    rules::all().map(|rule| rule.code).collect()
}

/// Names of all rules.
pub(super) fn rule_names() -> Vec<&'static str> {
    rules::all().map(|rule| rule.name).collect()
}
