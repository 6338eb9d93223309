//! What the compiler cannot check: memory maps of a file that others may cut, and a hint to the
//! processor. The only module with `unsafe`.
//!
//! A page that lies past the end of its file raises SIGBUS when it is touched. A handler puts zero
//! pages in its place and notes that in the window's slot, where [`Mapping::has_faulted`] finds
//! it; so a cut file ends as an error and not as a crash. Faults outside the windows go to whatever
//! handled the signal before.
#![allow(unsafe_code)]

use std::fs::File;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memmap2::{Mmap, MmapOptions};

/// A window onto a file.
#[derive(Debug)]
pub struct Mapping {
    map: Mmap,
    /// File offsets of the window.
    range: Range<u64>,
    slot: &'static Slot,
}

impl Mapping {
    /// Maps a part of a file. `None` where that cannot be: on file systems without maps, without
    /// the handler, or with more windows at once than there are slots.
    pub fn new(file: &File, range: Range<u64>) -> Option<Self> {
        install_handler()?;
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        // SAFETY: the map is read-only and private to this value, which never hands out a
        // reference that outlives it. Others may change or cut the file meanwhile: changed bytes
        // are bytes still (u8 has no invalid value, and no check on them is relied on for memory
        // safety), and a cut is caught by the handler.
        let map = unsafe {
            MmapOptions::new().offset(range.start).len(length).populate().map(file).ok()?
        };
        let slot = Slot::claim(map.as_ptr() as usize, length)?;
        Some(Self { map, range, slot })
    }

    /// The bytes of a part of the file, if the window has all of it.
    pub fn get(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.range.start)?).ok()?;
        self.map.get(start..start.checked_add(length)?)
    }

    /// Whether a page of the window was not there when it was touched.
    pub fn has_faulted(&self) -> bool {
        self.slot.faulted.load(Ordering::SeqCst)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Before the pages go: afterwards the addresses may be somebody else's.
        self.slot.release();
    }
}

/// Where the handler finds a window. Atomics alone: a signal handler may not take a lock.
#[derive(Debug)]
struct Slot {
    taken: AtomicBool,
    /// Address of the first byte; 0 while the slot is free.
    start: AtomicUsize,
    /// Address behind the last page.
    end: AtomicUsize,
    faulted: AtomicBool,
}

/// Windows that can be open at once; each worker has one.
const SLOTS: usize = 512;
static WINDOWS: [Slot; SLOTS] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        faulted: AtomicBool::new(false),
    }
}; SLOTS];

impl Slot {
    fn claim(start: usize, length: usize) -> Option<&'static Self> {
        let slot = WINDOWS.iter().find(|slot| !slot.taken.swap(true, Ordering::SeqCst))?;
        slot.faulted.store(false, Ordering::SeqCst);
        let end = start.saturating_add(length).next_multiple_of(page_size());
        slot.end.store(end, Ordering::SeqCst);
        // Last: a start says that the slot is in force.
        slot.start.store(start, Ordering::SeqCst);
        Some(slot)
    }

    fn release(&self) {
        self.start.store(0, Ordering::SeqCst);
        self.end.store(0, Ordering::SeqCst);
        self.taken.store(false, Ordering::SeqCst);
    }

    fn holds(&self, address: usize) -> bool {
        let start = self.start.load(Ordering::SeqCst);
        start != 0 && (start..self.end.load(Ordering::SeqCst)).contains(&address)
    }
}

fn page_size() -> usize {
    rustix::param::page_size()
}

/// What handled SIGBUS before; the standard library's stack guard as a rule.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the handler once for the process. `None` if the system refuses.
fn install_handler() -> Option<()> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        page_size(); // read here once, so that the handler finds it ready
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
            on_sigbus;
        let mut previous = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: `action` is a complete sigaction (all-zero is one, with an empty mask); the
        // handler has the signature that SA_SIGINFO asks for; `previous` is initialized by a call
        // that returns 0 and read in that case only.
        unsafe {
            if libc::sigaction(libc::SIGBUS, std::ptr::null(), previous.as_mut_ptr()) != 0 {
                return false;
            }
            // Before the handler can run.
            let _ = PREVIOUS.set(previous.assume_init());
            let mut action = std::mem::zeroed::<libc::sigaction>();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) == 0
        }
    });
    installed.then_some(())
}

extern "C" fn on_sigbus(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo_t; for SIGBUS it has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    match WINDOWS.iter().find(|slot| slot.holds(address)) {
        Some(slot) if put_zeros(address, slot) => slot.faulted.store(true, Ordering::SeqCst),
        _ => pass_on(signal, info, context),
    }
}

/// Replaces the rest of a window, from the page that faulted on, by zero pages.
fn put_zeros(address: usize, slot: &Slot) -> bool {
    let page = address & !page_size().wrapping_sub(1);
    let length = slot.end.load(Ordering::SeqCst).saturating_sub(page);
    // SAFETY: the range lies within a live window of this module (its worker is the one that
    // faulted, so it cannot be dropping it), which is only ever read; mmap is a bare system call
    // and safe in a signal handler.
    let placed = unsafe {
        libc::mmap(
            page as *mut libc::c_void,
            length,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    placed != libc::MAP_FAILED
}

/// Hands a foreign fault to the handler before, or lets the default action end the process.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(previous) = PREVIOUS.get() else {
        return;
    };
    let handler = previous.sa_sigaction;
    // SAFETY: the handler was installed by somebody with exactly these flags, so it has the
    // signature that the flags name. Restoring the default action makes the fault, which repeats
    // on return, end the process as it would have without this module.
    unsafe {
        if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
            libc::signal(signal, libc::SIG_DFL);
        } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                std::mem::transmute(handler);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(libc::c_int) = std::mem::transmute(handler);
            handler(signal);
        }
    }
}

/// Bytes of a cache line, or fewer.
const LINE: usize = 64;

/// Begins to fetch the first `length` bytes into the nearest cache. Reads nothing, and changes
/// nothing but time.
///
/// The processor's own prefetching stops at the end of each page of 4 KiB, and a mapped log is read
/// a page at a time: without a hint the cipher waits for memory at every page
/// (docs/performance.md).
#[inline(always)]
pub fn prefetch(bytes: &[u8], length: usize) {
    for line in bytes.get(..length).unwrap_or_default().chunks(LINE) {
        fetch(line.as_ptr());
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fetch(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint: it faults on no address, and gives no value. SSE, which has the
    // instruction, is part of every x86-64.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn fetch(_: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_cut_file_reads_as_zeros_and_says_so() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![0xAB; 1 << 20]).unwrap();
        let window = Mapping::new(&file, 0..1 << 20).unwrap();
        assert_eq!(window.get((1 << 20) - 1, 1), Some(&[0xAB][..]));
        assert!(!window.has_faulted());
        file.set_len(10_000).unwrap();
        assert_eq!(window.get(1 << 19, 3), Some(&[0, 0, 0][..]));
        assert!(window.has_faulted());
        assert_eq!(window.get(0, 2), Some(&[0xAB, 0xAB][..]), "what is there stays readable");
        drop(window);
        let window = Mapping::new(&file, 0..10_000).unwrap();
        assert!(!window.has_faulted(), "a slot starts anew");
    }

    #[test]
    fn slots_run_out_without_harm() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"x").unwrap();
        let windows: Vec<_> = (0..SLOTS + 10).map(|_| Mapping::new(&file, 0..1)).collect();
        assert!(windows.iter().any(Option::is_none));
        drop(windows);
        assert!(Mapping::new(&file, 0..1).is_some());
    }
}
