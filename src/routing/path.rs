//! One canonical form of a request path: routed on, and forwarded (P27-P34).
//!
//! The form is unique for what a backend can make of a path that decodes it once, and perhaps resolves it: what may stand
//! unescaped does, what may not is escaped in upper case, empty and dot segments are resolved. What is forwarded is the same,
//! but for reserved characters: `%2B` and `+` are two names to a backend that reads paths raw (RFC 3986 §2.2), so their
//! escapes stay, and whoever routes asks for both readings.
//! Controls and bytes that are not UTF-8 have no canonical form. `;` is left to the table (P31). `%2F` and `%5C` have one only
//! for a rule that keeps them, and never beside a dot segment: whoever decodes them must end where whoever does not ends.

use std::borrow::Cow;

/// Starts with `/`; holds no `//`, no dot segment, no needless or ambiguous escape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    read: Cow<'a, str>,
    /// With the escapes of reserved characters, when there are any.
    sent: Option<String>,
}

/// Why a path has no canonical form: 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("a path climbs above the root")]
    AboveRoot,
    #[error("a path holds a byte that no path can hold")]
    Byte,
    #[error("a path holds a bad or ambiguous percent-escape")]
    Escape,
    #[error("a path must start with /")]
    NotAbsolute,
    #[error("a path holds a dot segment with parameters")]
    Parameters,
}

impl<'a> CanonicalPath<'a> {
    /// `path` without query and fragment.
    ///
    /// # Errors
    /// When no reading of the path is safe for every kind of backend.
    pub fn parse(path: &'a str) -> Result<Self, PathError> {
        Self::parse_keeping_slashes(path).and_then(|path| match path.has_escaped_slashes() {
            true => Err(PathError::Escape),
            false => Ok(path),
        })
    }

    /// Takes escaped slashes of either kind for what they are, too: whoever routes asks for every one of [`Self::readings`], and
    /// whether the rule keeps them.
    ///
    /// # Errors
    /// As [`Self::parse`], and when an escaped slash stands beside a dot segment, however that is written.
    pub fn parse_keeping_slashes(path: &'a str) -> Result<Self, PathError> {
        if !path.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        if is_canonical(path.as_bytes()) {
            return Ok(Self::plain(Cow::Borrowed(path)));
        }
        let sent = normalise_escapes(path)?;
        if sent.split('/').any(is_dots_with_parameters) {
            return Err(PathError::Parameters);
        }
        if let Some(path) = decode_slashes(&sent)
            && path.split('/').any(|segment| is_dots(segment) || is_dots_with_parameters(segment))
        {
            return Err(PathError::Escape);
        }
        let sent = resolve(&sent)?;
        match decode_reserved(&sent) {
            read if read == sent => Ok(Self::plain(Cow::Owned(read))),
            read => Ok(Self { read: Cow::Owned(read), sent: Some(sent) }),
        }
    }

    /// `read` is canonical, and forwarded as it is.
    fn plain(read: Cow<'a, str>) -> Self {
        Self { read, sent: None }
    }

    /// `/`.
    pub fn root() -> Self {
        Self::plain(Cow::Borrowed("/"))
    }

    /// The form that is routed on.
    pub fn as_str(&self) -> &str {
        &self.read
    }

    /// The form that is forwarded.
    pub fn as_sent(&self) -> &str {
        self.sent.as_deref().unwrap_or(&self.read)
    }

    /// `%2F` or `%5C`: what they mean is the backend's to say.
    pub fn has_escaped_slashes(&self) -> bool {
        decode_slashes(&self.read).is_some()
    }

    /// The path as backends read it that take an escaped reserved character for another name, or an escaped slash of either kind
    /// for a slash. Empty for nearly every path.
    pub fn readings(&self) -> impl Iterator<Item = CanonicalPath<'static>> {
        let undecoded = self.sent.clone();
        let slashes = [Some(&*self.read), self.sent.as_deref()].map(|path| path.and_then(decode_slashes));
        // Without dot segments nothing climbs above the root.
        let slashes = slashes.into_iter().flatten().filter_map(|path| resolve(&path).ok());
        undecoded.into_iter().chain(slashes).map(|path| CanonicalPath::plain(Cow::Owned(path)))
    }

    /// How long the first elements of [`Self::as_sent`] are that are `length` bytes of [`Self::as_str`]: both have the same
    /// number of elements.
    pub fn sent_length(&self, length: usize) -> usize {
        let elements = self.read.get(..length).unwrap_or_default().matches('/').count();
        self.as_sent().match_indices('/').nth(elements).map_or(self.as_sent().len(), |(end, _)| end)
    }

    pub fn into_owned(self) -> CanonicalPath<'static> {
        CanonicalPath { read: Cow::Owned(self.read.into_owned()), sent: self.sent }
    }

    /// The path as a backend reads it that cuts each segment at its first `;` (also when it is escaped); `None` when that is
    /// the same path.
    pub fn without_parameters(&self) -> Option<CanonicalPath<'static>> {
        if !self.read.contains(';') && !self.read.contains("%3B") {
            return None;
        }
        let path: Vec<_> = self.read.split('/').map(cut_parameters).collect();
        // A segment that was only parameters is now empty: merged, as such backends do.
        resolve(&path.join("/")).ok().map(|path| CanonicalPath::plain(Cow::Owned(path)))
    }
}

/// What such a backend keeps of a segment.
fn cut_parameters(segment: &str) -> &str {
    let end = segment.find(';').into_iter().chain(segment.find("%3B")).min();
    end.and_then(|end| segment.get(..end)).unwrap_or(segment)
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// With a slash for every escaped one; `None` when there is none. `path` has its escapes in upper case.
fn decode_slashes(path: &str) -> Option<String> {
    let holds = path.contains("%2F") || path.contains("%5C");
    holds.then(|| path.replace("%2F", "/").replace("%5C", "/"))
}

/// `..;x` is `..` to a backend that cuts parameters, and a name to one that does not (P31).
fn is_dots_with_parameters(segment: &str) -> bool {
    let kept = cut_parameters(segment);
    is_dots(kept) && kept != segment
}

/// The common case, without allocation: nothing to decode, encode, merge or resolve.
fn is_canonical(path: &[u8]) -> bool {
    path.iter().all(|&b| b == b'/' || is_plain(b)) && !path.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
}

/// Bytes that stand for themselves in a segment: `pchar` of RFC 3986 §3.3.
fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b)
}

/// What never needs an escape (RFC 3986 §2.3).
fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~".contains(&b)
}

/// Decodes what needs no escape, escapes what does, in upper case.
fn normalise_escapes(path: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(b) = bytes.next() {
        let (b, escaped) = match b {
            b'%' => (unescape(bytes.next(), bytes.next())?, true),
            b => (check_raw(b)?, false),
        };
        decoded.push(b);
        match b {
            b'/' if !escaped => out.push('/'),
            b if is_unreserved(b) || is_plain(b) && !escaped => out.push(char::from(b)),
            b => push_escape(&mut out, b),
        }
    }
    match std::str::from_utf8(&decoded) {
        Ok(_) => Ok(out),
        Err(_) => Err(PathError::Escape),
    }
}

/// `path` has no needless and no broken escape. An escaped `;` stays escaped: whether it ends a name is for the backend to say,
/// so the table asks both (P31).
fn decode_reserved(path: &str) -> String {
    let mut parts = path.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or_default();
        match u8::from_str_radix(digits, 16) {
            Ok(b) if is_plain(b) && b != b';' => out.push(char::from(b)),
            _ => out.extend(["%", digits]),
        }
        out.push_str(rest);
    }
    out
}

/// P32, P33: controls and half escapes are never guessed at.
fn unescape(high: Option<u8>, low: Option<u8>) -> Result<u8, PathError> {
    let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).ok_or(PathError::Escape);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| PathError::Escape)?;
    match byte {
        0..=0x1f | 0x7f => Err(PathError::Escape),
        byte => Ok(byte),
    }
}

fn check_raw(b: u8) -> Result<u8, PathError> {
    match b {
        b'\\' | b'#' | b'?' | 0..=0x20 | 0x7f..=0xff => Err(PathError::Byte),
        b => Ok(b),
    }
}

fn push_escape(out: &mut String, b: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |n: u8| HEX.get(usize::from(n)).copied().map_or('0', char::from);
    out.extend(['%', digit(b >> 4), digit(b & 0xf)]);
}

/// Merges empty segments and resolves dot segments (RFC 3986 §5.2.4), never above the root.
fn resolve(path: &str) -> Result<String, PathError> {
    let mut segments: Vec<&str> = Vec::new();
    let mut directory = true;
    for segment in path.split('/') {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop().ok_or(PathError::AboveRoot)?),
            segment => segments.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    segments.iter().for_each(|segment| out.extend(["/", segment]));
    if directory || out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
