//! The handler of SIGBUS. It calls only async-signal-safe code: system calls and plain memory accesses.

use std::io;
use std::mem::MaybeUninit;

use libc::{c_int, c_void, siginfo_t};

use crate::noted;

/// The list of the process's maps.
const MAPS: &[u8] = b"/proc/self/maps\0";
/// Maximal number of bytes of a line that are used.
const LINE: usize = noted::LONGEST + 128;

pub(crate) fn install() -> io::Result<()> {
    // SAFETY: the structure is valid during the calls, `handle` has the signature that `SA_SIGINFO` requires, and it is
    // async-signal-safe.
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
    // SAFETY: the system passes a valid `info`. The handler restores `errno` for the interrupted code.
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

/// Lets the signal end the process. A fault recurs as soon as the handler returns; a signal that was sent by a process
/// is raised again.
fn give_up(signal: c_int, code: c_int) {
    // SAFETY: both calls are async-signal-safe and accept any signal.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        // Positive codes are the kernel's, for faults.
        if code <= 0 {
            libc::raise(signal);
        }
    }
}

/// Replaces the pages from the one of `address` to the end of its map with zeros, if it is a read-only map of a git
/// object file. Returns `false` if it isn't.
fn mend(address: usize) -> bool {
    let mut path = [0; noted::LONGEST];
    let Some((map, length)) = find(address, &mut path) else { return false };
    // SAFETY: `sysconf` has no preconditions.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let start = address & !(page - 1);
    noted::note(&path[..length]);
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the pages belong to a read-only map of a file. Accesses to them raise a signal, so no code relies on
    // their content; zero pages replace them at the same address with the same protection.
    let mapped =
        unsafe { libc::mmap(start as *mut c_void, map.end - start, libc::PROT_READ, flags, -1, 0) };
    mapped != libc::MAP_FAILED
}

/// A range of addresses.
struct Map {
    start: usize,
    end: usize,
}

/// The map that contains this address. Writes its file's path to `path` and returns the path's length, too. `None` if
/// the map must not be changed.
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
    /// Parses `start-end`, in hexadecimal digits, at the beginning of a line.
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

/// The path of a read-only map of a git object file, from a line `start-end r--s offset device inode path`.
fn mendable(line: &[u8]) -> Option<&[u8]> {
    let permissions = line.split(|byte| *byte == b' ').nth(1)?;
    let path = &line[line.iter().position(|byte| *byte == b'/')?..];
    (permissions.starts_with(b"r--") && is_of_objects(path)).then_some(path)
}

/// Returns `true` for a file among a repository's objects (pack, index, commit-graph, loose object) or `packed-refs`.
fn is_of_objects(path: &[u8]) -> bool {
    path.windows(9).any(|part| part == b"/objects/") || path.ends_with(b"/packed-refs")
}

/// The lines of the list of maps. The part of a line that exceeds the buffer is dropped.
struct Lines {
    file: c_int,
    buffer: [u8; 4096],
    at: usize,
    length: usize,
    line: [u8; LINE],
}

impl Lines {
    fn open() -> Option<Self> {
        // SAFETY: the path ends with a zero byte.
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
            // SAFETY: the buffer has this size.
            let read = unsafe { libc::read(self.file, buffer, room) };
            (self.at, self.length) = (0, usize::try_from(read).ok().filter(|read| *read > 0)?);
        }
        self.at += 1;
        Some(self.buffer[self.at - 1])
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // SAFETY: the descriptor is owned by this value.
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
