//! The program as its users meet it: arguments, output, exit codes and signals.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);
const ANYWHERE: [&str; 6] = ["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--inspect", "127.0.0.1:0"];

fn portcullis() -> Command {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(args: &[&str]) -> Output {
    portcullis().args(args).output().unwrap()
}

/// A directory that is gone with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("portcullis-test-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write(&self, name: &str, text: &str) {
        // As editors do: never half a file.
        let temporary = self.0.join(format!(".{name}"));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, self.0.join(name)).unwrap();
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A gateway that serves a directory. Killed when the test ends.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Gateway {
    fn serve(dir: &Path, more: &[&str]) -> Self {
        let mut command = portcullis();
        command.arg("serve").arg(dir).args(ANYWHERE).args(["--log", "text"]).args(more);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (found, address) = mpsc::channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening address=") {
                    let _ = found.send(address.parse().unwrap());
                }
            }
        });
        let address = address.recv_timeout(PATIENCE).expect("the gateway says where it listens");
        Self { child, address }
    }

    fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(self.address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    fn eventually(&self, path: &str, status: &str) {
        let start = Instant::now();
        while !self.get(path).starts_with(&format!("HTTP/1.1 {status}")) {
            assert!(start.elapsed() < PATIENCE, "{path} is not {status}: {}", self.get(path));
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn ended(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("still running");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A public endpoint in front of `backend`.
fn endpoint(path: &str, backend: SocketAddr) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1
kind: ProtectedEndpoint
metadata: {{name: a}}
spec:
  auth0: {{domain: tenant.auth0.example, audience: [a]}}
  backend: {{service: b, port: 80}}
  rules: [{{path: {path}, access: Public}}]
---
{{apiVersion: v1, kind: Service, metadata: {{name: b}}, spec: {{ports: [{{port: 80}}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: b-1, labels: {{kubernetes.io/service-name: b}}}}
addressType: IPv4
ports: [{{port: {}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
",
        backend.port()
    )
}

/// Answers each connection's first request with `ok`, after `delay`.
fn backend(delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _ = socket.read(&mut [0; 4096]);
                thread::sleep(delay);
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            });
        }
    });
    address
}

#[test]
fn the_demo_plays_the_walk_through() {
    let output = run(&[&["demo", "--check", "--tenant", "127.0.0.1:0", "--echo", "127.0.0.1:0"][..], &ANYWHERE].concat());
    let text = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in ["HTTP/1.1 200 OK", "HTTP/1.1 401 Unauthorized", "Content-Length: 15", "Content-Length: 0", r#"{"status":"ok"}"#] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_taken_port_is_named_and_nothing_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--http", "--admin", "--inspect"] {
        let dir = Dir::new(flag);
        let mut args = vec!["serve", dir.0.to_str().unwrap()];
        args.extend(ANYWHERE.chunks(2).filter(|pair| pair[0] != flag).flatten());
        args.extend([flag, &address]);
        let output = run(&args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{flag}: {error}");
        assert!(error.contains(&address), "{flag}: {error}");
    }
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    let cases: [(&[&str], i32); 5] = [(&[], 2), (&["nonsense"], 2), (&["serve"], 2), (&["check", "/nowhere.yaml"], 1), (&["crd"], 0)];
    for (args, want) in cases {
        assert_eq!(run(args).status.code(), Some(want), "{args:?}");
    }
    let missing = run(&[&["serve", "/nowhere"][..], &ANYWHERE].concat());
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("/nowhere"), "{}", text(&missing.stderr));
}

#[test]
fn a_directory_is_served_and_its_changes_too() {
    let (dir, backend) = (Dir::new("reload"), backend(Duration::ZERO));
    dir.write("a.yaml", &endpoint("/first", backend));
    let gateway = Gateway::serve(&dir.0, &[]);
    gateway.eventually("/first", "200");
    dir.write("a.yaml", &endpoint("/second", backend));
    gateway.eventually("/second", "200");
    assert!(gateway.get("/first").starts_with("HTTP/1.1 404"), "what is gone is gone");
    // A field that nobody knows: closed, in its place.
    dir.write("a.yaml", &endpoint("/second", backend).replace("access: Public", "access: Public, acess: Public"));
    gateway.eventually("/second", "503");
}

#[test]
fn a_signal_lets_requests_finish_and_a_second_does_not_wait() {
    let (dir, slow) = (Dir::new("stop"), backend(Duration::from_secs(2)));
    dir.write("a.yaml", &endpoint("/", slow));
    let mut gateway = Gateway::serve(&dir.0, &[]);
    gateway.eventually("/", "200");
    let address = gateway.address;
    let request = thread::spawn(move || Gateway::get_at(address, "/"));
    thread::sleep(Duration::from_millis(500));
    gateway.signal("TERM");
    assert!(request.join().unwrap().starts_with("HTTP/1.1 200"), "a request under way is finished");
    assert_eq!(gateway.ended(), Some(0));

    let stuck = backend(Duration::from_secs(600));
    dir.write("a.yaml", &endpoint("/stuck", stuck));
    let mut gateway = Gateway::serve(&dir.0, &["--drain-timeout", "10m"]);
    // The table is in service.
    gateway.eventually("/other", "404");
    let address = gateway.address;
    thread::spawn(move || Gateway::get_at(address, "/stuck"));
    thread::sleep(Duration::from_millis(500));
    gateway.signal("TERM");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(gateway.child.try_wait().unwrap(), None, "the first signal waits for requests");
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(0), "the second does not");
}

impl Gateway {
    /// As `get`, from another thread; whatever came before the connection ended.
    fn get_at(address: SocketAddr, path: &str) -> String {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        text(&answer)
    }
}
