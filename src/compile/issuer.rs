//! Names and URLs of issuers. An object's author chooses where the gateway fetches keys, so nothing but a public name or an
//! https URL gets through (P63); where a name resolves to is looked at when keys are fetched (P64).

use http::Uri;

const MAX_URL: usize = 512;

/// Top-level labels that lead inside a cluster or to this machine.
const INSIDE: [&str; 4] = ["internal", "local", "localhost", "svc"];

/// The domain in lower case, unless it is anything but a DNS name with a dot. The last label begins with a letter, which no
/// spelling of an IPv4 address does.
pub(super) fn domain(text: &str) -> Option<String> {
    let domain = text.to_ascii_lowercase();
    let (_, last) = domain.rsplit_once('.')?;
    let inside = INSIDE.contains(&last) || !last.starts_with(|c: char| c.is_ascii_lowercase());
    (domain.len() <= 253 && domain.split('.').all(super::field::is_label) && !inside).then_some(domain)
}

/// Whether `text` is an absolute https URL without user and fragment.
pub(super) fn is_https_url(text: &str) -> bool {
    let plain = text.len() <= MAX_URL && text.starts_with("https://") && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    let Some(uri) = text.parse::<Uri>().ok().filter(|_| plain) else { return false };
    uri.authority().is_some_and(|authority| is_host_and_port(authority.as_str(), authority.host()))
}

fn is_host_and_port(authority: &str, host: &str) -> bool {
    let port_fits = match authority.strip_prefix(host) {
        Some("") => true,
        Some(rest) => rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port != 0)),
        None => false,
    };
    let name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let address =
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    port_fits && (address || (!host.is_empty() && host.bytes().all(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p63_a_domain_is_a_public_dns_name_and_nothing_else() {
        let long = format!("{}com", "abcdefghi.".repeat(26));
        let label = format!("{}.com", "a".repeat(64));
        let bad = [
            "",
            ".",
            "com",
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "::1",
            "localhost",
            "127.1",
            "0x7f000001",
            "0x7f.1",
            "1.0x7f",
            "127.0.0.0x1",
            "metadata.google.internal",
            "kubernetes.default.svc",
            "a.svc.cluster.local",
            "x.localhost",
            "a.com:6443",
            "a.com/x?",
            "a.com/",
            "a.com#",
            "u@a.com",
            "a.com.",
            ".a.com",
            "a..com",
            "bücher.example",
            "a b.com",
            "a.com\n",
            "*.a.com",
            "a_b.com",
            "-a.com",
            "a-.com",
            "a.-com",
            "https://a.com",
            "A.SVC",
            "a.com\0",
            "a.com\u{3002}b",
            "a%2ecom.x",
            &long,
            &label,
        ];
        for text in bad {
            assert_eq!(domain(text), None, "{text:?}");
        }
        for (text, want) in
            [("TENANT.eu.auth0.com", "tenant.eu.auth0.com"), ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("a.b1", "a.b1")]
        {
            assert_eq!(domain(text).as_deref(), Some(want));
        }
    }

    #[test]
    fn p63_urls_are_https_without_user_and_fragment() {
        let good =
            ["https://a.example/", "https://a.example", "https://a.example:8443/x?y=z", "https://[::1]:8443/jwks", "https://10.0.0.1/"];
        for text in good {
            assert!(is_https_url(text), "{text}");
        }
        let long = format!("https://a.example/{}", "a".repeat(512));
        let bad = [
            "",
            "a.example",
            "http://a.example/",
            "HTTPS://a.example/",
            "https://",
            "https:///x",
            "https://u@a.example/",
            "https://u:p@a.example/",
            "https://a.example/#x",
            "https://a.example#",
            "https://a.example:0/",
            "https://a.example:99999/",
            "https://a.example:/",
            "https://a.example:x/",
            "https://a b/",
            "https://a.example/ x",
            "https://a.example/\n",
            "https://bücher.example/",
            "https://[::1/",
            "https://[zz]/",
            "https://a_b.example/",
            "//a.example/",
            "/x",
            "https:a.example",
            &long,
        ];
        for text in bad {
            assert!(!is_https_url(text), "{text:?}");
        }
    }
}
