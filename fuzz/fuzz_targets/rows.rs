#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(
    init: bodies::on_this_thread_alone(),
    |data: &[u8]| bodies::rows(data)
);
