//! Times as users write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Seconds since 1970 UTC from `2026-11-21 14:00[:00]` (UTC) or RFC 3339 with an offset.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_second());
    }
    let civil: DateTime = text.parse().map_err(|_| {
        "a time like '2026-11-21 14:00:00' (UTC) or 2026-11-21T15:00:00+01:00 is expected"
            .to_owned()
    })?;
    let zoned = civil.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn utc_unless_said_otherwise() {
        assert_eq!(parse("1970-01-02 00:00"), Ok(86_400));
        assert_eq!(parse("1970-01-02T00:00:01Z"), Ok(86_401));
        assert_eq!(parse("1970-01-02T01:00:00+01:00"), Ok(86_400));
        assert_eq!(parse("1970-01-02"), Ok(86_400));
        assert!(parse("yesterday").is_err());
    }
}
