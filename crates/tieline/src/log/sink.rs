//! Log lines on their way to standard error, through a bounded queue and a thread of its own. No
//! request waits for its log: a line for which there is no room is lost and counted.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines and bytes that may wait.
const LINES_MAX: usize = 8192;
const BYTES_MAX: usize = 8 << 20;
/// What is written at once.
const BATCH_BYTES: usize = 64 << 10;
/// The writer sleeps so long after it was woken, so that it need not be woken for every line.
const GATHER: Duration = Duration::from_millis(2);
/// How long the end of the process waits for the lines before it.
const FINISH_MAX: Duration = Duration::from_millis(500);
const FINISH_STEP: Duration = Duration::from_millis(2);
/// Before the next try, where another program that shares the pipe has made it one that does not wait.
const RETRY: Duration = Duration::from_millis(5);

/// The end at which lines go in.
#[derive(Debug)]
pub(super) struct Sink {
    lines: SyncSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl Sink {
    /// A sink that writes to standard error.
    pub(super) fn start() -> io::Result<Sink> {
        Sink::over(standard_error()?)
    }

    fn over(out: impl Write + Send + 'static) -> io::Result<Sink> {
        let (lines, taken) = sync_channel(LINES_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&waiting);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&taken, out, &written))?;
        Ok(Sink { lines, waiting })
    }

    /// Waits a moment for what is on its way.
    pub(super) fn finish(&self) {
        for _ in 0..FINISH_MAX.as_millis() / FINISH_STEP.as_millis() {
            if self.waiting.load(Ordering::Acquire) == 0 {
                return;
            }
            thread::sleep(FINISH_STEP);
        }
    }
}

/// Takes whole lines: the subscriber writes each at once.
impl Write for &Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let waiting = self.waiting.fetch_add(line.len(), Ordering::AcqRel);
        let has_room = waiting + line.len() <= BYTES_MAX;
        if !has_room || self.lines.try_send(line.to_vec()).is_err() {
            self.waiting.fetch_sub(line.len(), Ordering::AcqRel);
            gateway::process::log_lines_lost(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what comes, many lines at once, until nobody can send any more.
fn write(lines: &Receiver<Vec<u8>>, mut out: impl Write, waiting: &AtomicUsize) {
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    while let Ok(first) = lines.recv() {
        thread::sleep(GATHER);
        batch.extend(first);
        let mut count = 1;
        while batch.len() < BATCH_BYTES
            && let Ok(line) = lines.try_recv()
        {
            batch.extend(line);
            count += 1;
        }
        if write_whole(&mut out, &batch).is_err() {
            gateway::process::log_lines_lost(count);
        }
        waiting.fetch_sub(batch.len(), Ordering::AcqRel);
        batch.clear();
    }
}

/// All of it, however long it takes: nobody waits for this thread.
fn write_whole(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

/// Standard error without the lock of the standard library: a thread that waits on a full pipe must
/// keep nobody from it.
#[cfg(unix)]
fn standard_error() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?))
}

#[cfg(not(unix))]
fn standard_error() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stderr().as_handle().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    /// Takes nothing before it is told to, then keeps everything.
    struct Slow {
        go: Receiver<()>,
        is_going: bool,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.is_going {
                let _ = self.go.recv();
                self.is_going = true;
            }
            self.taken.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn c07_lines_beyond_the_room_are_lost_and_nobody_waits() {
        let (going, go) = channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink::over(Slow { go, is_going: false, taken: Arc::clone(&taken) }).unwrap();
        let line = |number: usize| format!("{number:09}\n");
        let many = 3 * LINES_MAX;
        for number in 0..many {
            (&sink).write_all(line(number).as_bytes()).unwrap();
        }
        // The writer has a batch in its hands and the queue is full; the rest is gone.
        going.send(()).unwrap();
        for _ in 0..1000 {
            sink.finish();
            if sink.waiting.load(Ordering::Acquire) == 0 {
                break;
            }
        }
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let kept = text.lines().count();
        assert!(kept >= LINES_MAX && kept < many, "{kept} lines");
        let numbers: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "whole lines in their order");
    }

    #[test]
    fn c07_few_long_lines_fill_the_room_as_well() {
        let (_going, go) = channel();
        let sink = Sink::over(Slow { go, is_going: false, taken: Arc::default() }).unwrap();
        let line = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            (&sink).write_all(&line).unwrap();
        }
        assert!(sink.waiting.load(Ordering::Acquire) <= BYTES_MAX);
    }
}
