//! What a server and its children did with files, recorded by strace.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use testkit::Program;

/// All that changes files, and what is needed to know which file is meant.
const CALLS: &str = "open,openat,creat,close,dup,dup2,dup3,fcntl,lseek,chdir,fchdir,\
    clone,clone3,fork,vfork,write,writev,pwrite64,pwritev,copy_file_range,sendfile,\
    truncate,ftruncate,fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
    unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fdatasync,syncfs,sync";
/// No single write is longer (bytes).
const LONGEST: &str = "16777216";

/// Whether there is strace; says so loudly if not.
pub(super) fn possible() -> bool {
    let there = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !there {
        testkit::skip("this test records a server with strace");
    }
    there
}

/// The program, recorded in the file `trace`.
pub(super) fn recorded(program: &Program, trace: &Path) -> Program {
    let trace = trace.display();
    // `-D`: the server is our child, and strace isn't in between.
    program.clone().after(&format!(
        "exec strace -D -f --seccomp-bpf --quiet=attach,personality -e signal=none -ttt -T -xx -y \
         -s {LONGEST} -o '{trace}' -e trace={CALLS} \"$@\""
    ))
}

/// A part of a system call. One that others ran during has a beginning and an end; others an end only.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The thread.
    pub(super) thread: u32,
    /// When it ended, or when this part did.
    pub(super) ended: SystemTime,
    pub(super) name: String,
    pub(super) args: Vec<String>,
    /// What it returned; `None` in its beginning.
    pub(super) result: Option<i64>,
}

/// Reads a whole record, once it is written.
pub(super) fn read(trace: &Path) -> Vec<Call> {
    let text = wait_for_end(trace);
    let mut unfinished: HashMap<u32, String> = HashMap::new();
    text.lines().filter_map(|line| parse(line, &mut unfinished)).collect()
}

/// strace writes the last lines after the server, its first thread, has ended.
fn wait_for_end(trace: &Path) -> String {
    let started = Instant::now();
    loop {
        let text = std::fs::read_to_string(trace).unwrap();
        let first = text.split(' ').next().unwrap();
        let ended = |line: &str| line.starts_with(first) && line.contains("+++ exited");
        if text.lines().rev().take(1000).any(ended) {
            return text;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "strace doesn't end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn parse(line: &str, unfinished: &mut HashMap<u32, String>) -> Option<Call> {
    let (thread, rest) = line.split_once(' ')?;
    let thread: u32 = thread.parse().unwrap();
    let (stamp, rest) = rest.trim_start().split_once(' ')?;
    if rest.starts_with("+++") || rest.starts_with("---") {
        return None;
    }
    let begun = time(stamp);
    if let Some(beginning) = rest.strip_suffix(" <unfinished ...>") {
        unfinished.insert(thread, beginning.to_owned());
        let (name, args) = beginning.split_once('(').unwrap();
        let args = split(args.trim_end_matches(", "));
        return Some(Call { thread, ended: begun, name: name.to_owned(), args, result: None });
    }
    let joined;
    let (whole, resumed) = match rest.strip_prefix("<... ") {
        Some(end) => {
            let beginning = unfinished.remove(&thread).unwrap();
            joined = beginning + end.split_once("resumed>").unwrap().1;
            (joined.as_str(), true)
        }
        None => (rest, false),
    };
    let (call, outcome) = whole.rsplit_once(" = ")?;
    let result = outcome.split([' ', '<']).next().unwrap();
    // It never returned: its process was killed.
    let result: i64 = result.parse().ok()?;
    let (name, args) = call.trim_end().strip_suffix(')')?.split_once('(').unwrap();
    let ended = if resumed { begun } else { begun + duration(outcome) };
    let args = split(args);
    Some(Call { thread, ended, name: name.to_owned(), args, result: Some(result) })
}

fn time(stamp: &str) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(stamp.parse().unwrap())
}

/// The `<0.000123>` at the end of a line.
fn duration(outcome: &str) -> Duration {
    let seconds = outcome.trim_end().strip_suffix('>').and_then(|rest| rest.rsplit('<').next());
    seconds.and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_secs_f64)
}

/// Splits arguments at the commas that aren't within brackets. Texts are in hexadecimal and have none.
fn split(args: &str) -> Vec<String> {
    let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
    for letter in args.chars() {
        match letter {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        if letter == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else if !(part.is_empty() && letter == ' ') {
            part.push(letter);
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// The bytes of a text such as `"\x61\x62"`, or of several in an array.
///
/// # Panics
/// strace cut it off.
pub(super) fn bytes(arg: &str) -> Vec<u8> {
    let mut found = Vec::new();
    for (number, text) in arg.split('"').enumerate() {
        if number % 2 == 1 {
            found.extend(unescape(text));
        } else {
            assert!(!text.starts_with("..."), "a write was too long to be recorded");
        }
    }
    found
}

/// The bytes of `\x61\x62`.
fn unescape(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(4);
    pairs.map(|byte| hex(byte[2]) << 4 | hex(byte[3])).collect()
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit - b'a' + 10,
    }
}

/// The path that strace put behind a descriptor: `3<\x2f\x61>`.
pub(super) fn annotation(arg: &str) -> Option<Vec<u8>> {
    let (_, path) = arg.split_once('<')?;
    Some(unescape(path.strip_suffix('>')?))
}
