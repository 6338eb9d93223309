//! Against the rules of the format written down once more, and a real log.

use super::*;

/// The rules of the format written down once more, byte by byte and on whole events.
fn slow_decrypt(cipher: &EventCipher, offset: u64, event: &[u8]) -> Vec<u8> {
    let input = [&event[4..9], &event[0..4], &event[13..]].concat();
    let iv = cipher.iv(offset);
    let mut plain = Vec::new();
    let mut previous = iv;
    for (number, block) in input.chunks(16).enumerate() {
        let mut state = [Block::from(iv)];
        if cipher.mode == Mode::Ctr {
            state = [counter(iv, number as u64).into()];
        }
        if block.len() < 16 || cipher.mode == Mode::Ctr {
            cipher.schedule.encrypt(&mut state);
            plain.extend(block.iter().zip(state[0]).map(|(a, b)| a ^ b));
            continue;
        }
        let mut state = [Block::try_from(block).unwrap()];
        cipher.schedule.decrypt(&mut state);
        if cipher.mode == Mode::Cbc {
            xor(&mut state[0], &previous);
        }
        previous.copy_from_slice(block);
        plain.extend(state[0]);
    }
    [&plain[5..9], &plain[..5], &event[9..13], &plain[9..]].concat()
}

fn encrypt(cipher: &EventCipher, offset: u64, plain: &[u8], piece: usize) -> Vec<u8> {
    let mut event = plain.to_vec();
    let span = EventSpan { offset, length: u32::try_from(plain.len()).unwrap() };
    let (head, rest) = event.split_at_mut(HEAD.min(plain.len()));
    let mut encryptor = cipher.encryptor(span, head);
    rest.chunks_mut(piece * 16).for_each(|piece| encryptor.encrypt(piece));
    event
}

fn plain(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..251).map(|n: u8| n.wrapping_mul(7)).cycle().take(length).collect();
    bytes[9..13].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
    bytes
}

fn ciphers() -> Vec<EventCipher> {
    let key: Vec<u8> = (0..32).map(|n| n * 5 + 1).collect();
    let lengths = [16, 24, 32];
    let each = |mode| {
        lengths.map(|length| EventCipher::new(&key[..length], mode, *b"nonce of log").unwrap())
    };
    Mode::ALL.into_iter().flat_map(each).collect()
}

#[test]
fn the_worked_example_of_a_real_log() {
    // MariaDB 10.11.19, AES_CBC: the event at 296, a GTID list that CRC-32 confirms.
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16).unwrap()).unwrap();
    let unhex = |text: &str| -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        pairs.map(|pair| digit(&pair[0]) << 4 | digit(&pair[1])).collect()
    };
    let stored = unhex("89c125f9ac462b81221d000000bb07341723907c57939d8ff325e5db3d");
    let nonce = unhex("d763e91e2afd6619a667bccf").try_into().unwrap();
    let key = unhex("443789af3b34ee5fd11db99312e228f5");
    let cipher = EventCipher::new(&key, Mode::Cbc, nonce).unwrap();
    let iv = unhex("d763e91e2afd6619a667bccf28010000");
    assert_eq!(cipher.iv(296).to_vec(), iv);
    let span = EventSpan { offset: 296, length: 29 };
    let mut event = vec![0; 29];
    cipher.decrypt(span, &Stored::alone(296, &stored), 296, &mut event);
    let (summed, stored_sum) = event.split_at(25);
    assert_eq!(crc32fast::hash(summed).to_le_bytes(), stored_sum);
    assert_eq!(encrypt(&cipher, 296, &event, 1), stored);
}

#[test]
fn every_length_and_mode_comes_back_and_agrees_with_the_rules() {
    for cipher in ciphers() {
        for length in (19..=100).chain([RUN + 3, RUN + 4, RUN + 20, 3 * RUN + 25]) {
            let plain = plain(length);
            for offset in [4, 0xFFFF_FFF0, 0x1_0000_0004] {
                let stored = encrypt(&cipher, offset, &plain, 3);
                assert_eq!(slow_decrypt(&cipher, offset, &stored), plain, "{cipher:?} {length}");
                let span = EventSpan { offset, length: u32::try_from(length).unwrap() };
                let mut event = vec![0; length];
                cipher.decrypt(span, &Stored::alone(offset, &stored), offset, &mut event);
                assert_eq!(event, plain, "{cipher:?} {length}");
            }
        }
    }
}

#[test]
fn any_piece_is_what_the_whole_has_there() {
    for cipher in ciphers() {
        for length in [19, 20, 21, 35, 36, 37, 40, 52, 53, 100] {
            let plain = plain(length);
            let offset = 1000;
            let bytes = encrypt(&cipher, offset, &plain, 2);
            let span = EventSpan { offset, length: u32::try_from(length).unwrap() };
            for from in 0..length {
                for to in from..=length {
                    let stored = Stored {
                        offset: offset + from as u64,
                        lead: &bytes[from.saturating_sub(LEAD)..from],
                        body: &bytes[from..to],
                        trail: &bytes[to..length.min(to + TRAIL)],
                    };
                    let mut piece = vec![0; to - from];
                    cipher.decrypt(span, &stored, stored.offset, &mut piece);
                    assert_eq!(piece, plain[from..to], "{cipher:?} {length} {from}..{to}");
                }
            }
        }
    }
}

#[test]
fn of_a_cut_event_only_what_is_right_is_said_to_be_decipherable() {
    for cipher in ciphers() {
        for length in [19, 20, 35, 36, 40, 52, 100] {
            let plain = plain(length);
            let bytes = encrypt(&cipher, 4, &plain, 2);
            let span = EventSpan { offset: 4, length: u32::try_from(length).unwrap() };
            for available in 0..=length {
                let right = cipher.decipherable(span, available as u64);
                let right = usize::try_from(right).unwrap();
                assert!(right <= available && right + 16 > available || available < HEAD);
                let mut event = vec![0; right];
                cipher.decrypt(span, &Stored::alone(4, &bytes[..available]), 4, &mut event);
                assert_eq!(event, plain[..right], "{cipher:?} {length} {available}");
            }
            assert_eq!(cipher.decipherable(span, length as u64), length as u64);
        }
    }
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", ciphers()[0]), "EventCipher(AES-128-CBC, redacted)");
}
