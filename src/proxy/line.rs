//! One line of a head or of a chunked body, folded as it is read: however long it is, only its name and its number are kept.

/// What a line says so far, without the line feed that ends it.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What stands before the colon, as far as it can be of interest.
    name: Vec<u8>,
    has_colon: bool,
    number: Number,
    length: u64,
    last: u8,
}

/// Digits between blanks, as the library reads them.
#[derive(Debug, Default)]
struct Number {
    value: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    Within,
    Behind,
    /// No number, or one too big.
    Nowhere,
}

/// `transfer-encoding` has 17 bytes; a longer name is none that counts.
const KEPT: usize = 18;

// === impl Line ===

impl Line {
    /// These bytes of `Name: value` come next; of the values only a length is looked at.
    pub(super) fn push_field(&mut self, mut bytes: &[u8]) {
        self.count(bytes);
        if !self.has_colon {
            let colon = bytes.iter().position(|b| *b == b':');
            let (name, rest) = bytes.split_at(colon.unwrap_or(bytes.len()));
            self.name.extend(name.iter().take(KEPT - self.name.len().min(KEPT)));
            self.has_colon = colon.is_some();
            bytes = rest.get(1..).unwrap_or_default();
        }
        if self.is_named("content-length") {
            bytes.iter().for_each(|b| self.number.push_decimal(*b));
        }
    }

    /// These bytes of a chunk's size come next.
    pub(super) fn push_size(&mut self, bytes: &[u8]) {
        self.count(bytes);
        bytes.iter().for_each(|b| self.number.push_hexadecimal(*b));
    }

    /// Nothing but its end.
    pub(super) fn is_empty(&self) -> bool {
        self.length == u64::from(self.has_return())
    }

    /// It ends with CR and LF, not with LF alone.
    pub(super) fn has_return(&self) -> bool {
        self.last == b'\r'
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.has_colon && self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The length or size; `None` where the library refuses what stands there.
    pub(super) fn number(&self) -> Option<u64> {
        matches!(self.number.place, Place::Within | Place::Behind).then_some(self.number.value)
    }

    fn count(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.last = bytes.last().copied().unwrap_or(self.last);
    }
}

// === impl Number ===

impl Number {
    fn push_decimal(&mut self, b: u8) {
        self.place = match (self.place, b) {
            (Place::Before, b' ' | b'\t') => Place::Before,
            (Place::Before | Place::Within, b'0'..=b'9') => self.push(b, 10),
            (Place::Within | Place::Behind, b' ' | b'\t' | b'\r') => Place::Behind,
            _ => Place::Nowhere,
        }
    }

    /// Behind the digits an extension may stand.
    fn push_hexadecimal(&mut self, b: u8) {
        self.place = match (self.place, b) {
            (Place::Before | Place::Within, b) if b.is_ascii_hexdigit() => self.push(b, 16),
            (Place::Within, b' ' | b'\t' | b';' | b'\r') | (Place::Behind, _) => Place::Behind,
            _ => Place::Nowhere,
        }
    }

    fn push(&mut self, b: u8, radix: u32) -> Place {
        let digit = char::from(b).to_digit(radix).map(u64::from);
        let value = digit.and_then(|digit| self.value.checked_mul(radix.into())?.checked_add(digit));
        self.value = value.unwrap_or_default();
        if value.is_some() { Place::Within } else { Place::Nowhere }
    }
}
