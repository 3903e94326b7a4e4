//! The program itself: key, start, one request, stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use ticrypt_log::{NoteSigner, SignatureType, VerifierKey};
use ticrypt_types::Secret;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ticrypt-witness"))
}

fn key(data: &Path, name: Option<&str>) -> Output {
    let mut command = program();
    command.args(["key", "--data"]).arg(data);
    if let Some(name) = name {
        command.args(["--name", name]);
    }
    command.output().unwrap()
}

/// Ends the program even when the test fails before.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_makes_a_key_listens_and_answers() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    assert!(!key(&data, None).status.success(), "no key without a name");
    let first = key(&data, Some("witness.example/w1"));
    assert!(first.status.success());
    let printed = String::from_utf8(first.stdout).unwrap();
    assert_eq!(VerifierKey::parse(printed.trim_end()).unwrap().kind(), SignatureType::CosignatureV1);
    assert_eq!(key(&data, None).stdout, printed.as_bytes());
    assert!(!program().output().unwrap().status.success(), "nothing to do without arguments");

    let log = NoteSigner::from_seed("log.example", SignatureType::Ed25519, Secret::new([7; 32])).unwrap();
    let list = format!("[[log]]\norigin = \"log.example\"\nkey = \"{}\"\n", log.verifier());
    std::fs::write(data.join("logs.toml"), list).unwrap();
    let mut command = program();
    command.arg("--data").arg(&data).args(["--listen", "127.0.0.1:0", "--name", "witness.example/w1"]);
    let mut running = Running(command.env("RUST_LOG", "info").stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let started = lines.map(Result::unwrap).find(|line| line.contains("witness listens")).unwrap();
    let address = started.split("address=").nth(1).unwrap().split(' ').next().unwrap();

    let mut stream = TcpStream::connect(address).unwrap();
    let request = "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: 5\r\n\r\nold 0";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}
