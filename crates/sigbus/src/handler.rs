//! The handler of SIGBUS. Everything that it calls is async-signal-safe: system calls and plain memory.

use std::io;
use std::mem::MaybeUninit;

use libc::{c_int, c_void, siginfo_t};

use crate::noted;

/// The list of the process's maps.
const MAPS: &[u8] = b"/proc/self/maps\0";
/// The longest line of it that is understood, in bytes.
const LINE: usize = noted::LONGEST + 128;

pub(crate) fn install() -> io::Result<()> {
    // SAFETY: the structure is valid for the time of the calls, `handle` has the signature that `SA_SIGINFO` asks
    // for, and it is async-signal-safe.
    let done = unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn handle(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: the system gives a valid `info`. The handler leaves `errno` as the interrupted code knows it.
    unsafe {
        let errno = libc::__errno_location();
        let kept = *errno;
        let (code, address) = ((*info).si_code, (*info).si_addr() as usize);
        if code != libc::BUS_ADRERR || !mend(address) {
            give_up(signal, code);
        }
        *errno = kept;
    }
}

/// Lets the signal end the process. A fault happens again as soon as the handler returns; a signal that was
/// sent is sent again.
fn give_up(signal: c_int, code: c_int) {
    // SAFETY: both calls are async-signal-safe and take any signal.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        // Positive codes are the kernel's, for faults.
        if code <= 0 {
            libc::raise(signal);
        }
    }
}

/// Puts zeros from the page of `address` on to the end of its map, if it is one of a file of git's objects that
/// can only be read.
fn mend(address: usize) -> bool {
    let mut path = [0; noted::LONGEST];
    let Some((map, length)) = find(address, &mut path) else { return false };
    // SAFETY: `sysconf` has no conditions.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let start = address & !(page - 1);
    noted::note(&path[..length]);
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the pages belong to a map of a file that is only read. They raised a signal, or will, so nothing
    // relies on what they hold; zeros take their place under the same address and protection.
    let mapped =
        unsafe { libc::mmap(start as *mut c_void, map.end - start, libc::PROT_READ, flags, -1, 0) };
    mapped != libc::MAP_FAILED
}

/// A range of addresses.
struct Map {
    start: usize,
    end: usize,
}

/// The map with this address and the length of its file's path, which is written to `path`; `None` if it isn't
/// one that may be mended.
fn find(address: usize, path: &mut [u8; noted::LONGEST]) -> Option<(Map, usize)> {
    let mut lines = Lines::open()?;
    while let Some(line) = lines.next() {
        let Some(map) = Map::of(line) else { continue };
        if map.start <= address && address < map.end {
            let file = mendable(line)?;
            let length = file.len().min(path.len());
            path[..length].copy_from_slice(&file[..length]);
            return Some((map, length));
        }
    }
    None
}

impl Map {
    /// A line begins with `start-end`, in hexadecimal digits.
    fn of(line: &[u8]) -> Option<Self> {
        let dash = line.iter().position(|byte| *byte == b'-')?;
        let space = line.iter().position(|byte| *byte == b' ')?;
        Some(Self { start: number(&line[..dash])?, end: number(line.get(dash + 1..space)?)? })
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    digits.iter().try_fold(0_usize, |number, byte| {
        number.checked_mul(16)?.checked_add(usize::try_from(digit(byte)?).ok()?)
    })
}

/// The file of a map that is only read, if it is one of git's objects: `start-end r--s offset device inode path`.
fn mendable(line: &[u8]) -> Option<&[u8]> {
    let permissions = line.split(|byte| *byte == b' ').nth(1)?;
    let path = &line[line.iter().position(|byte| *byte == b'/')?..];
    (permissions.starts_with(b"r--") && is_of_objects(path)).then_some(path)
}

/// Whether it is below the objects of a repository: a pack, an index, a commit-graph or a loose object.
fn is_of_objects(path: &[u8]) -> bool {
    path.windows(9).any(|part| part == b"/objects/") || path.ends_with(b"/packed-refs")
}

/// The lines of the list of maps, one after the other. What doesn't fit into a line is left out.
struct Lines {
    file: c_int,
    buffer: [u8; 4096],
    at: usize,
    length: usize,
    line: [u8; LINE],
}

impl Lines {
    fn open() -> Option<Self> {
        // SAFETY: the path ends with a zero.
        let file = unsafe { libc::open(MAPS.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) };
        (file >= 0).then_some(Self { file, buffer: [0; 4096], at: 0, length: 0, line: [0; LINE] })
    }

    fn next(&mut self) -> Option<&[u8]> {
        let mut length = 0;
        loop {
            match self.byte()? {
                b'\n' => return Some(&self.line[..length]),
                byte if length < LINE => {
                    self.line[length] = byte;
                    length += 1;
                }
                _ => {}
            }
        }
    }

    fn byte(&mut self) -> Option<u8> {
        if self.at == self.length {
            let (buffer, room) = (self.buffer.as_mut_ptr().cast(), self.buffer.len());
            // SAFETY: the buffer has this room.
            let read = unsafe { libc::read(self.file, buffer, room) };
            (self.at, self.length) = (0, usize::try_from(read).ok().filter(|read| *read > 0)?);
        }
        self.at += 1;
        Some(self.buffer[self.at - 1])
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own.
        unsafe { libc::close(self.file) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_may_be_mended_are_told_from_all_others() {
        let line = |permissions: &str, path: &str| {
            format!("7f00aa000-7f00ab000 {permissions} 00000000 fe:00 4242    {path}").into_bytes()
        };
        let pack = "/srv/a b/repo/objects/pack/pack-1.idx";
        let found = line("r--s", pack);
        assert_eq!(mendable(&found), Some(pack.as_bytes()));
        let Some(Map { start, end }) = Map::of(&found) else { panic!("no map") };
        assert_eq!((start, end), (0x7_f00a_a000, 0x7_f00a_b000));
        assert!(mendable(&line("r--p", "/srv/repo/packed-refs")).is_some());
        for (permissions, path) in [
            ("rw-s", pack),
            ("r-xp", pack),
            ("r--p", "/usr/bin/wikigrove"),
            ("r--p", ""),
            ("rw-p", "[heap]"),
        ] {
            assert_eq!(mendable(&line(permissions, path)), None, "{permissions} {path}");
        }
    }
}
