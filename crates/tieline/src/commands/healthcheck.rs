//! `tieline healthcheck`: whether a running gateway is ready, for images that have no `curl`.
//!
//! Must never read a configuration: it holds no key, and a file that is being changed makes no gateway ill.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use crate::curl::called;
use crate::failure::Failure;
use crate::{admin_port, output, runtime};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline healthcheck
  tieline healthcheck --admin 127.0.0.1:9090

It asks for /readyz and waits 2 s at most.
Exit codes: 0 ready, 1 not ready or no answer, 2 wrong usage.")]
pub(crate) struct Healthcheck {
    /// The gateway's admin port; of all addresses, such as 0.0.0.0, this machine's is asked
    #[arg(long, env = "TIELINE_ADMIN__LISTEN", hide_env_values = true, value_name = "ADDR")]
    #[arg(default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
}

/// More than the answer has, and little enough for whatever else may listen there.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

impl Healthcheck {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let admin = called(self.admin);
        runtime::run(async move {
            let told = |why: &str| Failure::new(format_args!("http://{admin}/readyz: {why}"));
            match admin_port::page(admin, "/readyz", None, ANSWER_BYTES_MAX).await {
                Ok((200, _)) => {
                    output::print("ready\n")?;
                    Ok(ExitCode::SUCCESS)
                }
                Ok((status, _)) => Err(told(&format!("not ready: {status}"))),
                Err(why) => Err(told(&why)),
            }
        })
    }
}
