//! One manifest of those that several processes made, each of its part of the logs.

use std::path::{Path, PathBuf};

use super::SealError;
use super::append::{
    Appender, SealOptions, SealOutcome, SealedLog, earlier, finish, link_before, link_of,
};
use super::key::PublicKey;
use super::manifest::{LogRecord, Manifest, Spot};
use super::names::LogName;
use super::proof::prove;
use crate::keyring::Keyring;
use crate::read::verify::check_continuity;

/// Joins the manifests of all parts into the one at `output`, which is begun if it is not there, or
/// gone on with: parts are gone on with, too, and only what is new in them is added. No log is read.
///
/// # Errors
/// [`SealError::Part`] when a part is missing, there twice, or is none; [`SealError::Differs`] when a
/// part says something else of a log than the manifest; else as [`seal`](super::seal()) has them.
pub fn merge(
    output: &Path,
    parts: &[PathBuf],
    keys: &Keyring,
    options: &SealOptions<'_>,
) -> Result<SealOutcome, SealError> {
    let manifest = earlier(output, keys, options)?;
    if let Some(manifest) = manifest.as_ref().filter(|manifest| manifest.shard.is_some()) {
        let reason = "it is one of the parts: the whole is a manifest of its own".to_owned();
        return Err(SealError::Part { path: manifest.path().to_owned(), reason });
    }
    let own = PublicKey::of(options.signer);
    let public_keys: Vec<_> = own.into_iter().chain(options.public_keys.iter().cloned()).collect();
    let mut opened = Vec::new();
    for path in parts {
        let part = Manifest::open(path, &[])?;
        match prove(&part, keys, &public_keys)? {
            (_, None) => opened.push(part),
            (_, Some(reason)) => {
                return Err(SealError::Unproven { path: path.to_owned(), reason });
            }
        }
    }
    check_set(&opened)?;
    let mut outcome = SealOutcome::new(output, manifest.as_ref());
    let mut writer = Appender::new(output, manifest.as_ref(), options)?;
    let mut links = Vec::new();
    for (name, part, spots) in in_order(&opened)? {
        for mut record in new_records(manifest.as_ref(), part, name, spots)? {
            writer.add(&mut record)?;
            record.leaves = Vec::new();
            let path = PathBuf::from(&record.name);
            links.push(link_of(path.clone(), &record));
            outcome.sealed.push(SealedLog { name: name.clone(), path, record });
        }
    }
    links.extend(link_before(manifest.as_ref(), &outcome.sealed)?);
    outcome.gaps = check_continuity(&links);
    finish(writer, outcome)
}

/// Demands all parts of one number, each once.
fn check_set(parts: &[Manifest]) -> Result<(), SealError> {
    let fail = |part: &Manifest, reason: String| {
        Err(SealError::Part { path: part.path().to_owned(), reason })
    };
    let mut there: Vec<Option<&Manifest>> = Vec::new();
    for part in parts {
        let Some(shard) = part.shard else {
            return fail(part, "it is of all logs, and no part: there is nothing to merge".into());
        };
        let count = usize::try_from(shard.count()).unwrap_or(usize::MAX);
        if there.is_empty() {
            // No more than there are manifests, whatever one says.
            there.resize(count.min(parts.len()), None);
        }
        if let Some(first) = parts.first().and_then(|first| first.shard)
            && first.count() != shard.count()
        {
            return fail(part, format!("it is part {shard}, and the first one is {first}"));
        }
        if count > parts.len() {
            let all: Vec<_> = parts.iter().filter_map(|part| part.shard).collect();
            let missing =
                (0..shard.count()).find(|index| all.iter().all(|it| it.index() != *index));
            let missing = missing.unwrap_or_default();
            let reason = format!(
                "it is part {shard}, and {} of {count} are here: part {missing} is missing",
                parts.len()
            );
            return fail(part, reason);
        }
        let index = usize::try_from(shard.index()).unwrap_or(usize::MAX);
        match there.get_mut(index) {
            Some(place @ None) => *place = Some(part),
            Some(Some(first)) => {
                return fail(part, format!("{} is part {shard}, too", first.path().display()));
            }
            None => return fail(part, format!("there is no part {shard}")),
        }
    }
    Ok(())
}

/// A log, the part that has it, and where its records stand there.
type InPart<'p> = (&'p LogName, &'p Manifest, &'p [Spot]);

/// Each log with its part, by name.
fn in_order(parts: &[Manifest]) -> Result<Vec<InPart<'_>>, SealError> {
    let mut all = Vec::new();
    for part in parts {
        for (name, spots) in &part.sealed {
            if part.shard.is_some_and(|shard| !shard.has(name.as_path())) {
                let reason = format!("log {} does not belong to its part", name.as_str());
                return Err(SealError::Part { path: part.path().to_owned(), reason });
            }
            all.push((name, part, spots.as_slice()));
        }
    }
    all.sort_by_key(|(name, _, _)| *name);
    Ok(all)
}

/// The records that a part has of a log, and the manifest not yet: what it has must be the same.
fn new_records(
    manifest: Option<&Manifest>,
    part: &Manifest,
    name: &LogName,
    spots: &[Spot],
) -> Result<Vec<LogRecord>, SealError> {
    let before = manifest.and_then(|it| Some((it, it.sealed.get(name)?)));
    let mut new = Vec::new();
    for (index, spot) in spots.iter().enumerate() {
        let record = part.record(spot)?;
        let Some((manifest, spot)) = before.and_then(|(it, spots)| Some((it, spots.get(index)?)))
        else {
            new.push(record);
            continue;
        };
        let known = manifest.record(spot)?;
        // Its header may be another one since, and its bytes: what counts is the plaintext.
        let content = |it: &LogRecord| (it.up_to, it.plain_length, it.plaintext);
        if content(&known) != content(&record) {
            return Err(SealError::Differs {
                path: part.path().to_owned(),
                whole: manifest.path().to_owned(),
                name: name.as_str().to_owned(),
            });
        }
    }
    Ok(new)
}
