//! `cargo run --release --example flaky_server`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a person")]

use std::{
    env,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::ExitCode,
    thread,
    time::Duration,
};

const HELP: &str = "\
A server on loopback that fails, for trying the `seawall` command on: of each three requests the
first is left without an answer, the second gets 503, and the third gets a price.

Usage: cargo run --release --example flaky_server [-- OPTIONS]

Options:
      --port N   Where it listens [default: 7878]
      --get      Ask it once, as curl would: exit 0 with the price, 1 without, 2 if nobody listens
  -h, --help     Print this

In another terminal:
  cargo run --release -p seawall-cli -- run --timeout 1s --base-delay 200ms -- curl -fsS http://127.0.0.1:7878/price";

/// An unanswered request is held for as long: longer than any sensible time-out.
const SILENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let (mut port, mut get) = (7878_u16, false);
    let mut options = env::args().skip(1);
    while let Some(option) = options.next() {
        match (option.as_str(), option.as_str() == "--port") {
            (_, true) => match options.next().and_then(|number| number.parse().ok()) {
                Some(number) => port = number,
                None => {
                    eprintln!("error: --port takes a number from 0 to 65535");
                    return ExitCode::from(2);
                }
            },
            ("--get", _) => get = true,
            ("-h" | "--help", _) => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            (unknown, _) => {
                eprintln!("error: unknown option `{unknown}`: there are --port, --get and --help");
                return ExitCode::from(2);
            }
        }
    }
    let done = if get { ask(port) } else { serve(port).map(|()| ExitCode::SUCCESS) };
    done.unwrap_or_else(|error| {
        eprintln!("error: 127.0.0.1:{port}: {error}");
        ExitCode::from(2)
    })
}

fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!("listening on {}", listener.local_addr()?);
    for (number, stream) in listener.incoming().enumerate() {
        let stream = stream?;
        // One that hangs must not hold up the next.
        thread::spawn(move || answer(stream, number % 3));
    }
    Ok(())
}

fn answer(mut stream: TcpStream, turn: usize) -> io::Result<()> {
    let mut request = [0; 4096];
    if stream.read(&mut request)? == 0 {
        return Ok(());
    }
    let (status, body) = match turn {
        0 => {
            println!("a request: no answer");
            thread::sleep(SILENCE);
            return Ok(());
        }
        1 => ("503 Service Unavailable", "busy\n"),
        _ => ("200 OK", "41.95\n"),
    };
    println!("a request: {status}");
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn ask(port: u16) -> io::Result<ExitCode> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(b"GET /price HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.starts_with("HTTP/1.1 200") {
        print!("{body}");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}", head.lines().next().unwrap_or("no answer"));
    Ok(ExitCode::FAILURE)
}
