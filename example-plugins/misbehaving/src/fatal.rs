//! Faults that no panic guard helps against.

use std::{
    env, fs,
    hint::black_box,
    io,
    net::{SocketAddr, TcpStream},
    process::{self, Command},
    time::Duration,
};

use crate::{ADDRESS, FILE, faults::Fatal};

/// Processes that `spawn` tries to start.
const PROCESSES: usize = 20;
/// Bytes that `eat-memory` takes with each bite.
const BITE: usize = 64 << 20;

/// Does it. What returns was survived.
#[allow(clippy::exit, reason = "it is what the plugin is for")]
pub(crate) fn commit(fatal: Fatal) -> io::Result<()> {
    match fatal {
        Fatal::Abort => process::abort(),
        Fatal::Exit => process::exit(7),
        Fatal::DoublePanic => double_panic(),
        Fatal::StackOverflow => {
            black_box(deeper(0));
        }
        Fatal::EndlessLoop => loop {
            std::hint::spin_loop();
        },
        Fatal::EatMemory => {
            let mut eaten = Vec::new();
            loop {
                // Touched, so that it is really taken.
                eaten.push(black_box(vec![1_u8; BITE]));
            }
        }
        Fatal::Spawn => {
            for _ in 0..PROCESSES {
                Command::new("sleep").arg("600").spawn()?;
            }
        }
        Fatal::WriteFile => fs::write(variable(FILE)?, "written by misbehaving")?,
        Fatal::Connect => {
            let address: SocketAddr = variable(ADDRESS)?.parse().map_err(io::Error::other)?;
            drop(TcpStream::connect_timeout(&address, Duration::from_secs(5))?);
        }
    }
    Ok(())
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|_| io::Error::other(format!("{name} is not set")))
}

/// A panic whose unwinding panics once more.
#[allow(clippy::panic, reason = "it is what the plugin is for")]
fn double_panic() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("misbehaving: the second panic");
        }
    }
    let _bomb = Bomb;
    panic!("misbehaving: the first panic");
}

/// Calls itself until the stack is full.
#[allow(unconditional_recursion, reason = "it is what the plugin is for")]
fn deeper(depth: u64) -> u64 {
    let here = black_box([depth; 512]);
    deeper(depth + 1) + here[depth as usize % here.len()]
}
