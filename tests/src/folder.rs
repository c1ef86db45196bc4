//! Files that a test needs: each test has a folder of its own, which is removed when the test ends.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use transport::client::Client;
use transport::tls::{ClientTls, ServerTls};

use crate::{client_with, config};

/// A folder of one test. It is on disk, which `/tmp` may not be.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new folder that no other test has.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let program = std::env::current_exe().expect("a test program has a path");
        // Programs are in `target/PROFILE/deps`, files of tests in `target/tmp`.
        let target = program.ancestors().nth(3).unwrap_or(Path::new("."));
        let folder = target.join(format!("tmp/test-{}-{next}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        Folder(folder)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The same as text.
    pub fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file, and returns its path.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), text).expect("a file of the test");
        self.name(name)
    }

    /// Puts a file in the place of another one in one step, as rollouts do: who reads it finds one or the other whole.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub fn replace(&self, name: &str, text: impl AsRef<[u8]>) {
        let aside = self.file(&format!("{name}.aside"), text);
        std::fs::rename(aside, self.path(name)).expect("the file takes its place");
    }

    /// Makes a certificate for `localhost` that signs itself.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub fn certificate(&self, name: &str) -> Certificate {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("a certificate");
        self.file(&format!("{name}.pem"), made.cert.pem());
        self.file(&format!("{name}.key"), made.signing_key.serialize_pem());
        Certificate {
            cert: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file of one test, in a folder of its own. It is removed with all that is written beside it.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    _folder: Folder,
}

impl File {
    /// A file that is not there yet.
    pub fn new(name: &str) -> File {
        let folder = Folder::new();
        File { path: folder.path(name), _folder: folder }
    }

    /// A file with that text.
    pub fn with(name: &str, text: impl AsRef<[u8]>) -> File {
        let folder = Folder::new();
        folder.file(name, text);
        File { path: folder.path(name), _folder: folder }
    }
}

impl Deref for File {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for File {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate, which is its own root.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Certificate {
    /// The line of `[server]` that shows it.
    pub fn server_line(&self) -> String {
        config::tls(&self.cert, &self.key)
    }

    /// The line of an upstream that trusts it.
    pub fn ca_line(&self) -> String {
        format!("ca_file = {:?}", self.cert)
    }

    /// A client that trusts it, with a pool of its own.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub fn client(&self) -> Client {
        client_with(ClientTls::new(Some(&self.cert)).expect("a root"))
    }

    /// For a server.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub fn server(&self) -> ServerTls {
        ServerTls::from_pem_files(&self.cert, &self.key).expect("a certificate")
    }
}
