//! Posts runs to a running service from many connections, and says how fast it took them.
//!
//! `cargo run --release -p regressd --example load -- --token TOKEN --connections 100 --seconds 60`
//!
//! Each connection is a plain socket that sends one request after another, so that the load costs little beside the
//! service that is measured. `--branch main` makes every run part of the history; another branch is judged by it.

#![expect(clippy::unwrap_used, reason = "a tool for measuring; what goes wrong ends it")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

#[derive(Clone, Debug, Parser)]
struct Args {
    /// Where the service listens
    #[arg(long, default_value = "127.0.0.1:8780")]
    address: String,
    /// A token that may upload for load/*
    #[arg(long)]
    token: String,
    /// Connections that post at once
    #[arg(long, default_value_t = 100)]
    connections: usize,
    /// How long
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Benchmarks in a run
    #[arg(long, default_value_t = 20)]
    benchmarks: usize,
    /// Repositories that take turns
    #[arg(long, default_value_t = 20)]
    repositories: usize,
    /// The branch that was measured
    #[arg(long, default_value = "main")]
    branch: String,
    /// Stop after so many requests instead
    #[arg(long)]
    requests: Option<usize>,
    /// Read this page instead of posting runs
    #[arg(long, value_name = "PATH")]
    get: Option<String>,
    /// The process of the service, whose memory is read at start and end
    #[arg(long)]
    pid: Option<u32>,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    milliseconds: Vec<f64>,
    judged: usize,
    errors: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::parse();
    let memory = || args.pid.map(resident_kib);
    let before = memory();
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(args.seconds);
    let tasks: Vec<_> = (0..args.connections)
        .map(|connection| tokio::spawn(post(args.clone(), connection, until)))
        .collect();
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await.unwrap();
        all.milliseconds.extend(seen.milliseconds);
        all.judged += seen.judged;
        all.errors += seen.errors;
    }
    let seconds = begun.elapsed().as_secs_f64();
    all.milliseconds.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let last = all.milliseconds.len().saturating_sub(1);
        all.milliseconds
            .get((last as f64 * share) as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    let count = all.milliseconds.len();
    let waiting = if args.get.is_none() { queue(&args).await } else { 0 };
    println!(
        "{count} requests answered in {seconds:.1} s: {:.0}/s",
        count as f64 / seconds
    );
    println!("judged within the request {}, errors {}", all.judged, all.errors);
    println!(
        "latency ms: median {:.2}, p95 {:.2}, p99 {:.2}, most {:.2}",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
    if let (Some(before), Some(after)) = (before, memory()) {
        println!("resident memory of the service: {before} KiB before, {after} KiB after");
    }
    if args.get.is_none() {
        let judged = count.saturating_sub(waiting);
        println!("judged meanwhile: {judged}, {:.0}/s", judged as f64 / seconds);
        let begun = Instant::now();
        while queue(&args).await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let rest = begun.elapsed().as_secs_f64();
        println!(
            "judged afterwards: {waiting} in {rest:.1} s, {:.0}/s",
            waiting as f64 / rest.max(0.001)
        );
        // What was taken for it is given back a moment after its last use.
        tokio::time::sleep(Duration::from_secs(3)).await;
        if let Some(memory) = memory() {
            println!("resident memory when all is judged: {memory} KiB");
        }
    }
    if all.errors > 0 {
        std::process::exit(1);
    }
}

async fn post(args: Args, connection: usize, until: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut stream = BufReader::new(TcpStream::connect(&args.address).await.unwrap());
    stream.get_ref().set_nodelay(true).unwrap();
    let unique = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    let most = args
        .requests
        .map_or(usize::MAX, |all| all.div_ceil(args.connections));
    let mut number = 0_u64;
    while Instant::now() < until && seen.milliseconds.len() + seen.errors < most {
        number += 1;
        let request = request(
            &args,
            connection,
            unique ^ (number << 20) ^ connection as u64,
            number,
        );
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        let (status, body) = answer(&mut stream).await;
        match status {
            200 | 202 => {
                seen.milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
                seen.judged += usize::from(status == 200);
            }
            _ => {
                if seen.errors == 0 {
                    eprintln!("{status}: {}", String::from_utf8_lossy(&body));
                }
                seen.errors += 1;
            }
        }
    }
    seen
}

/// How many runs wait to be judged.
async fn queue(args: &Args) -> usize {
    let mut stream = BufReader::new(TcpStream::connect(&args.address).await.unwrap());
    let request = "GET /ready HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let (_, body) = answer(&mut stream).await;
    let ready: serde_json::Value = serde_json::from_slice(&body).unwrap();
    usize::try_from(ready["queue"].as_u64().unwrap()).unwrap()
}

/// A run of Go benchmarks, each a little different from all others.
fn request(args: &Args, connection: usize, unique: u64, number: u64) -> String {
    if let Some(path) = &args.get {
        let token = &args.token;
        return format!("GET {path} HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {token}\r\n\r\n");
    }
    let mut results = String::from("goos: linux\\ngoarch: amd64\\npkg: example.com/load\\n");
    let mut chance = unique | 1;
    for benchmark in 0..args.benchmarks {
        // Marsaglia's xorshift: noise of two percent.
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let value = (1000 + 100 * benchmark) as f64 * (0.98 + 0.04 * (chance % 1000) as f64 / 1000.0);
        write!(
            results,
            "BenchmarkOf{benchmark}-8\\t1000000\\t{value:.2} ns/op\\n"
        )
        .unwrap();
    }
    let repository = (connection as u64 + number) % args.repositories as u64;
    let body = format!(
        r#"{{"repository":"load/r{repository}","branch":"{}","commit":"{unique:016x}","run_id":"1","environment":{{"name":"load"}},"results":[{{"text":"{results}"}}]}}"#,
        args.branch
    );
    format!(
        "POST /analyze HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        args.token,
        body.len()
    )
}

async fn answer(stream: &mut BufReader<TcpStream>) -> (u16, Vec<u8>) {
    use tokio::io::AsyncBufReadExt as _;
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let status = line.split(' ').nth(1).unwrap_or("0").parse().unwrap_or(0);
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (status, body)
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
