use super::*;
use proptest::prelude::*;

fn canonical(path: &str) -> Result<String, PathError> {
    CanonicalPath::parse(path).map(|path| path.as_str().to_owned())
}

fn readings(path: &CanonicalPath<'_>) -> Vec<String> {
    path.readings().map(|reading| reading.as_str().to_owned()).collect()
}

#[test]
fn paths_have_one_canonical_form() {
    let cases = [
        ("root", "/", "/"),
        ("plain", "/a/b", "/a/b"),
        ("trailing slash is kept", "/a/", "/a/"),
        ("P27 dot segments", "/pub/../admin", "/admin"),
        ("P27 last dot", "/a/.", "/a/"),
        ("P27 last dots", "/pub/..", "/"),
        ("P27 single dot", "/a/./b", "/a/b"),
        ("P28 escaped dots", "/pub/%2e%2e/admin", "/admin"),
        ("P28 mixed dots", "/pub/.%2E/admin", "/admin"),
        ("P30 merged slashes", "//admin///x", "/admin/x"),
        ("P33 escaped letter", "/%61dmin", "/admin"),
        ("P33 never decoded twice", "/%252e%252e/x", "/%252e%252e/x"),
        ("sub-delims stand unescaped", "/a%21%2B%3A", "/a!+:"),
        ("hex in upper case", "/a%c3%a9", "/a%C3%A9"),
        ("what must be escaped is", "/a|b{c}", "/a%7Cb%7Bc%7D"),
        ("escaped space stays", "/a%20b", "/a%20b"),
        ("three dots are a name", "/.../x", "/.../x"),
        ("hidden files are names", "/.well-known/x", "/.well-known/x"),
        ("parameters are kept", "/a;v=1/b%3bx", "/a;v=1/b%3Bx"),
        ("P36 case matters", "/ADMIN", "/ADMIN"),
    ];
    for (name, path, want) in cases {
        assert_eq!(canonical(path).as_deref(), Ok(want), "{name}");
    }
}

#[test]
fn p28_reserved_characters_stay_escaped_for_the_backend() {
    let cases = [
        ("plain", "/a+b", "/a+b", None),
        ("reserved", "/a%2bb%26c", "/a+b&c", Some("/a%2Bb%26c")),
        ("all of them", "/%21%24%26%27%28%29%2A%2B%2C%3D%3A%40", "/!$&'()*+,=:@", Some("/%21%24%26%27%28%29%2A%2B%2C%3D%3A%40")),
        ("unreserved", "/%61%7e%2D", "/a~-", None),
        ("resolved", "/x/../%2B//./y%2b", "/+/y+", Some("/%2B/y%2B")),
        ("parameters", "/a%3bb%2B", "/a%3Bb+", Some("/a%3Bb%2B")),
    ];
    for (name, text, read, sent) in cases {
        let path = CanonicalPath::parse(text).unwrap();
        assert_eq!((path.as_str(), path.as_sent()), (read, sent.unwrap_or(read)), "{name}");
        assert_eq!(readings(&path), sent.into_iter().collect::<Vec<_>>(), "{name}");
    }
    let path = CanonicalPath::parse("/a%2Bb/c%3Ad/e").unwrap();
    assert_eq!(["", "/a+b", "/a+b/c:d"].map(|element| path.sent_length(element.len())), [0, 6, 12]);
}

/// P29: where a rule keeps them, and never where the path means another to a backend that resolves what it has decoded.
#[test]
fn p29_escaped_slashes_can_be_kept_and_have_every_reading_told() {
    let cases: [(&str, &str, Result<(&str, &[&str]), PathError>); 13] = [
        ("a slash", "/a%2fb", Ok(("/a%2Fb", &["/a/b"]))),
        ("a backslash", "/a%5cb", Ok(("/a%5Cb", &["/a/b"]))),
        ("two in a row", "/a%2F%2Fb//c", Ok(("/a%2F%2Fb/c", &["/a/b/c"]))),
        ("at the end", "/a%2F", Ok(("/a%2F", &["/a/"]))),
        ("beside a reserved character", "/a%2F%2Bb", Ok(("/a%2F+b", &["/a%2F%2Bb", "/a/+b", "/a/%2Bb"]))),
        ("escaped twice", "/a%252Fb", Ok(("/a%252Fb", &[]))),
        ("none", "/a/b", Ok(("/a/b", &[]))),
        ("a climb behind", "/a%2f..", Err(PathError::Escape)),
        ("an escaped climb behind", "/a%2f%2e%2E/b", Err(PathError::Escape)),
        ("a climb elsewhere", "/a%2fb/../c", Err(PathError::Escape)),
        ("a dot before", "/.%5ca", Err(PathError::Escape)),
        ("a climb with parameters", "/a%2f..;x%2fb", Err(PathError::Escape)),
        ("a backslash that stands for itself", "/a\\b", Err(PathError::Byte)),
    ];
    for (name, text, want) in cases {
        let path = CanonicalPath::parse_keeping_slashes(text);
        let got = path.as_ref().map(|path| (path.as_str(), readings(path))).map_err(|error| *error);
        assert_eq!(got, want.map(|(read, others)| (read, others.iter().map(|other| (*other).to_owned()).collect())), "{name}");
    }
}

#[test]
fn paths_that_can_be_read_in_two_ways_are_refused() {
    let cases = [
        ("P27 above the root", "/..", PathError::AboveRoot),
        ("P27 far above", "/a/../../b", PathError::AboveRoot),
        ("P29 escaped slash", "/a%2fb", PathError::Escape),
        ("P29 escaped slash, upper", "/a%2Fb", PathError::Escape),
        ("P29 escaped backslash", "/a%5cb", PathError::Escape),
        ("P29 backslash", "/a\\b", PathError::Byte),
        ("P32 NUL", "/a%00b", PathError::Escape),
        ("P32 newline", "/a%0ab", PathError::Escape),
        ("P33 bad hex", "/%zz", PathError::Escape),
        ("P33 half an escape", "/a%", PathError::Escape),
        ("P33 half an escape at the end", "/a%4", PathError::Escape),
        ("P33 overlong slash", "/%c0%af", PathError::Escape),
        ("P33 lone byte", "/%ff", PathError::Escape),
        ("P31 dots with parameters", "/a/..;/admin", PathError::Parameters),
        ("P31 dots with escaped parameters", "/a/..%3Bx/admin", PathError::Parameters),
        ("P31 one escaped dot with parameters", "/a/%2e;/admin", PathError::Parameters),
        ("P34 fragment", "/a#b", PathError::Byte),
        ("query", "/a?b", PathError::Byte),
        ("P38 no slash", "a", PathError::NotAbsolute),
        ("P38 asterisk", "*", PathError::NotAbsolute),
        ("empty", "", PathError::NotAbsolute),
        ("raw UTF-8", "/é", PathError::Byte),
        ("space", "/a b", PathError::Byte),
    ];
    for (name, path, want) in cases {
        assert_eq!(canonical(path), Err(want), "{name}");
    }
}

#[test]
fn p31_parameters_are_cut_as_some_backends_do() {
    let cases = [
        ("none", "/admin/x", None),
        ("raw", "/admin;x=y/z", Some("/admin/z")),
        ("escaped", "/admin%3Bx/z", Some("/admin/z")),
        ("only parameters", "/;x/admin", Some("/admin")),
        ("first of both", "/a%3Bb;c", Some("/a")),
    ];
    for (name, path, want) in cases {
        let path = CanonicalPath::parse(path).unwrap();
        assert_eq!(path.without_parameters().as_ref().map(CanonicalPath::as_str), want, "{name}");
    }
}

/// What a backend makes of a path: decode once, then resolve.
fn decoded_and_resolved(path: &str) -> Option<Vec<u8>> {
    let bytes = path.as_bytes();
    let (mut decoded, mut i) = (vec![], 0);
    while i < bytes.len() {
        let escape = (bytes[i] == b'%').then(|| bytes.get(i + 1..i + 3)).flatten().and_then(|h| std::str::from_utf8(h).ok());
        match escape.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => (decoded.push(byte), i += 3).1,
            None => (decoded.push(bytes[i]), i += 1).1,
        }
    }
    let mut segments: Vec<&[u8]> = vec![];
    for segment in decoded.split(|b| *b == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()?),
            segment => segments.push(segment),
        }
    }
    Some(segments.join(&b'/'))
}

proptest! {
    #[test]
    fn p45_every_backend_reads_the_canonical_form_as_the_original(path in "/([a-c./;%]|%2[eEfF5]|%6[1-3]|%5[cC]|%3[bB]|%[cC]3%[aA]9){0,12}") {
        let Ok(canonical) = canonical(&path) else { return Ok(()) };
        prop_assert_eq!(decoded_and_resolved(&canonical), decoded_and_resolved(&path), "{} -> {}", path, canonical);
        let sent = CanonicalPath::parse(&path).unwrap().as_sent().to_owned();
        prop_assert_eq!(decoded_and_resolved(&sent), decoded_and_resolved(&path), "{} -> {}", path, sent);
        // A backend that resolves without decoding, or does neither, sees nothing left to do.
        prop_assert!(!canonical.contains("//"));
        prop_assert!(!canonical.split('/').any(|s| s == "." || s == ".."));
    }

    #[test]
    fn the_canonical_form_is_its_own(path in "/\\PC{0,24}") {
        if let Ok(first) = canonical(&path) {
            let again = canonical(&first);
            prop_assert_eq!(again, Ok(first));
        }
    }

    #[test]
    fn equal_decodings_have_equal_forms(segments in proptest::collection::vec("[a-z!$+:|{ é]{1,4}", 1..4), mask in any::<u64>()) {
        let plain: String = segments.iter().map(|s| format!("/{s}")).collect();
        let escape = |(i, b): (usize, u8)| match b != b'/' && (!is_plain(b) || mask >> (i % 64) & 1 == 1) {
            true => format!("%{b:02x}"),
            false => char::from(b).to_string(),
        };
        let all: String = plain.bytes().map(|b| if b == b'/' { "/".into() } else { format!("%{b:02X}") }).collect();
        let some: String = plain.bytes().enumerate().map(escape).collect();
        prop_assert_eq!(canonical(&all), canonical(&some));
    }
}
