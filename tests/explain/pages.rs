//! Each case of cases.txt through the real binary: a comment that names it, the token, the command, and all that it prints.

use crate::tokens::{Signer, auth0_claims, jwks, merge};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

const NOW: u64 = 1_800_000_000;

/// A directory to run in, and who signs.
struct World {
    dir: PathBuf,
    main: Signer,
    forger: Signer,
}

/// One case, as far as it is a question.
#[derive(Debug, Default)]
struct Case {
    question: String,
    by: String,
    header: Option<Value>,
    claims: Option<Value>,
    command: String,
}

#[test]
fn every_case_is_answered_as_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain/cases.txt");
    let page = fs::read_to_string(&path).unwrap();
    let (world, cases) = (World::new(), cases(&page));
    assert!(cases.len() >= 50, "the cases are gone: {}", cases.len());
    let answer = |case: &Case| format!("{}{}", case.question, world.run(case));
    let answered: Vec<_> = thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(4));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || part.iter().map(answer).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let answered = answered.join("\n");
    match page == answered {
        true => {}
        false if update() => fs::write(&path, answered).unwrap(),
        false => panic!("{}\nUPDATE_GOLDEN=1 writes tests/explain/cases.txt anew", difference(&page, &answered)),
    }
}

/// What the README shows is what is printed.
#[test]
fn the_readme_shows_a_case() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain/cases.txt")).unwrap();
    let page = format!("\n{page}");
    let case = page.split("\n# ").find(|case| case.starts_with("As the README shows it\n")).unwrap();
    let shown = case.split_once("\n$ ").unwrap().1.rsplit_once("\nexit ").unwrap().0;
    assert_eq!(readme_block("console"), format!("$ {shown}\n"));
}

/// The first one of its kind.
fn readme_block(kind: &str) -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let block = readme.split_once(&format!("```{kind}\n")).unwrap().1;
    block.split_once("```").unwrap().0.to_owned()
}

#[expect(clippy::disallowed_methods, reason = "the switch that writes the file anew is the test's own")]
fn update() -> bool {
    std::env::var("UPDATE_GOLDEN").is_ok()
}

fn difference(page: &str, answered: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (page.lines().collect(), answered.lines().collect());
    let at = old.iter().zip(&new).position(|(old, new)| old != new).unwrap_or_else(|| old.len().min(new.len()));
    let around = |lines: &[&str]| lines[at.saturating_sub(8).min(lines.len())..(at + 8).min(lines.len())].join("\n");
    format!("--- cases.txt is\n{}\n+++ but is answered with\n{}", around(&old), around(&new))
}

/// A case begins with a comment, and its question ends with the command.
fn cases(page: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in page.lines() {
        if line.starts_with("# ") {
            cases.push(Case { by: "main".to_owned(), ..Case::default() });
        }
        let Some(case) = cases.last_mut().filter(|case| case.command.is_empty()) else { continue };
        case.question += &format!("{line}\n");
        match line.split_once(' ') {
            Some(("token", claims)) => case.claims = Some(serde_json::from_str(claims).unwrap()),
            Some(("header", header)) => case.header = Some(serde_json::from_str(header).unwrap()),
            Some(("by", name)) => name.clone_into(&mut case.by),
            Some(("$", command)) => command.clone_into(&mut case.command),
            _ => {}
        }
    }
    cases
}

// === impl World ===

impl World {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("portcullis-explain-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (main, forger) = (Signer::generate("RS256", "main"), Signer::generate("RS256", "main"));
        fs::write(dir.join("keys.json"), jwks([&main, &Signer::generate("RS256", "next")])).unwrap();
        fs::write(dir.join("broken.yaml"), "a: [1").unwrap();
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain/shop.yaml"), dir.join("shop.yaml")).unwrap();
        fs::write(dir.join("messages.yaml"), readme_block("yaml")).unwrap();
        let world = Self { dir, main, forger };
        let usual = Case { claims: Some(json!({})), ..Case::default() };
        fs::write(world.dir.join("token.txt"), world.token(&usual).unwrap() + "\n").unwrap();
        world
    }

    fn token(&self, case: &Case) -> Option<String> {
        let signer = match case.by.as_str() {
            "forger" => self.forger.clone(),
            "stranger" => self.forger.named("stranger"),
            _ => self.main.clone(),
        };
        let claims = case.claims.clone()?.to_string().replace("LONG", &"l".repeat(9000));
        let usual = auth0_claims("https://tenant.eu.auth0.com/", "https://api.example.com", NOW);
        let claims = merge(usual, &serde_json::from_str(&claims).unwrap());
        Some(signer.mint_with(&case.header.clone().unwrap_or_else(|| json!({})), &claims))
    }

    /// What it prints, and its exit code. Time and keys are given to every command that has none.
    fn run(&self, case: &Case) -> String {
        let token = self.token(case);
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(words(&case.command).iter().skip(1)).args(["--jwks", "keys.json"]).current_dir(&self.dir);
        if !case.command.contains("--at ") {
            command.args(["--at", &NOW.to_string()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("NO_SUCH_VARIABLE");
        if let Some(token) = &token {
            command.env("TOKEN", token);
        }
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(token.clone().unwrap_or_default().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        self.shows_no_secret(case, &text, token.as_deref());
        format!("{text}exit {}\n", output.status.code().unwrap())
    }

    /// Neither the token nor any part of it that would be worth something, and nothing that a terminal obeys.
    fn shows_no_secret(&self, case: &Case, text: &str, token: Option<&str>) {
        let parts = token.into_iter().flat_map(|token| token.split('.')).filter(|part| part.len() > 8);
        parts.chain(["c2ln"]).for_each(|part| assert!(!text.contains(part), "{}: {text}", case.question));
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{}: {text:?}", case.question);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// As a shell splits them: single quotes hold blanks.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('\'').enumerate();
    let words = parts.flat_map(|(n, part)| if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() });
    words.map(str::to_owned).collect()
}
