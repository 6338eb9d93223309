//! Times as users write them, and the zone that they mean.

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::terminal::Terminal;

/// A time on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Time {
    /// One moment, whatever the zone: with an offset.
    Moment(Timestamp),
    /// As a clock shows it.
    Clock(DateTime),
}

/// `2026-11-21 14:00[:00]`, a date, or RFC 3339 with an offset.
pub(crate) fn parse(text: &str) -> Result<Time, String> {
    if let Ok(time) = text.parse() {
        return Ok(Time::Moment(time));
    }
    text.parse().map(Time::Clock).map_err(|_| {
        "a time like '2026-11-21 14:00:00' or 2026-11-21T15:00:00+01:00 is expected".to_owned()
    })
}

/// Which zone times without an offset are in.
#[derive(Debug, Args)]
pub(crate) struct ZoneArgs {
    /// The zone of times that are given without an offset: UTC, local, or a name such as
    /// Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    time_zone: TimeZone,
}

pub(crate) fn zone(text: &str) -> Result<TimeZone, String> {
    match text {
        "local" => TimeZone::try_system().map_err(|error| error.to_string()),
        "UTC" | "utc" => Ok(TimeZone::UTC),
        name => TimeZone::get(name).map_err(|_| {
            "no zone of that name; write UTC, local, or a name of the time zone database such as \
             Europe/Berlin"
                .to_owned()
        }),
    }
}

impl ZoneArgs {
    /// Seconds since 1970 UTC of the times of some options. What was understood is told wherever
    /// somebody may have meant something else: where this machine's clock is not UTC, or the zone is
    /// not.
    pub(crate) fn seconds<const N: usize>(
        &self,
        times: [(&str, &Option<Time>); N],
        terminal: &Terminal,
    ) -> anyhow::Result<[Option<i64>; N]> {
        let is_utc = |zone: &TimeZone, at| zone.to_offset(at).seconds() == 0;
        let local = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        let mut seconds = [None; N];
        for ((option, time), into) in times.into_iter().zip(&mut seconds) {
            let Some(time) = time else { continue };
            let moment = match time {
                Time::Moment(moment) => *moment,
                Time::Clock(clock) => self
                    .time_zone
                    .to_ambiguous_zoned(*clock)
                    .unambiguous()
                    .with_context(|| {
                        format!("{option} {clock}: that time is not there, or there twice, as clocks are put forward or back; give it with its offset")
                    })?
                    .timestamp(),
            };
            if !is_utc(&local, moment) || !is_utc(&self.time_zone, moment) {
                let here = moment.to_zoned(local.clone()).strftime("%Y-%m-%d %H:%M:%S %:z");
                let utc = moment.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S");
                terminal.note(&format!("{option} is {utc} UTC ({here} on this machine's clock)"));
            }
            *into = Some(moment.as_second());
        }
        Ok(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::{Time, parse, zone};

    fn seconds(text: &str, name: &str) -> i64 {
        match parse(text).unwrap() {
            Time::Moment(moment) => moment.as_second(),
            Time::Clock(clock) => {
                clock.to_zoned(zone(name).unwrap()).unwrap().timestamp().as_second()
            }
        }
    }

    #[test]
    fn an_offset_says_the_zone_and_the_option_says_it_otherwise() {
        assert_eq!(seconds("1970-01-02 00:00", "UTC"), 86_400);
        assert_eq!(seconds("1970-01-02T00:00:01Z", "Europe/Berlin"), 86_401);
        assert_eq!(seconds("1970-01-02T01:00:00+01:00", "UTC"), 86_400);
        assert_eq!(seconds("1970-01-02", "UTC"), 86_400);
        assert_eq!(seconds("1970-01-02 01:00", "Europe/Berlin"), 86_400);
        assert!(parse("yesterday").is_err());
        assert!(zone("Europe/Atlantis").is_err());
    }
}
