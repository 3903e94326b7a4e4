//! A witness beside the server: it countersigns the logs that a deployment file names.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{PATIENCE, Process, await_until, run};
use crate::program;
use crate::system::free_addresses;

/// Ends its process when dropped.
#[derive(Debug)]
pub struct Witness {
    key: String,
    address: SocketAddr,
    _process: Process,
}

impl Witness {
    /// Starts a witness that trusts the two logs of a deployment file and keeps what it saw in `directory`.
    pub fn start(directory: &Path, deployment_file: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(deployment_file)?)?;
        let mut logs = String::new();
        for name in ["audit_log_key", "key_log_key"] {
            let key = file.get(name).and_then(serde_json::Value::as_str).with_context(|| format!("no {name} in the deployment file"))?;
            let origin = key.split('+').next().unwrap_or_default();
            logs.push_str(&format!("[[log]]\norigin = \"{origin}\"\nkey = \"{key}\"\n"));
        }
        let list = directory.join("logs.toml");
        std::fs::write(&list, logs)?;
        let witness = program::path("ticrypt-witness")?;
        let data = directory.join("data");
        let mut print_key = Command::new(&witness);
        print_key.arg("key").arg("--data").arg(&data).args(["--name", "witness.example/w1"]);
        let key = run(&mut print_key, PATIENCE)?.success()?.stdout.trim().to_owned();
        let [address, _] = free_addresses()?;
        let mut serve = Command::new(&witness);
        serve.arg("--data").arg(&data).arg("--logs").arg(&list).args(["--listen", &address.to_string()]);
        let mut process = Process::spawn("ticrypt-witness", &mut serve, &directory.join("witness.log"))?;
        await_until("the witness starts", PATIENCE, || {
            if let Some(status) = process.ended()? {
                bail!("the witness ended with {status}: {}", process.said());
            }
            Ok(std::net::TcpStream::connect(address).ok().map(|_| ()))
        })?;
        Ok(Self { key, address, _process: process })
    }

    /// Waits until both logs of a server have a head with this witness's countersignature.
    pub fn await_countersignatures(&self, data: &Path) -> Result<()> {
        await_until("the witness countersigns", PATIENCE, || {
            let both = ["audit", "keys"].iter().all(|log| data.join("log").join(log).join("checkpoint.witnessed").exists());
            Ok(both.then_some(()))
        })
    }

    /// What the backend's configuration needs to know of it.
    pub fn configuration(&self) -> String {
        format!(
            "[log]\nquorum = 1\nwitness_interval_ms = 100\n\n[[log.witnesses]]\nurl = \"http://{}\"\nkey = \"{}\"\n",
            self.address, self.key
        )
    }
}
