//! Which addresses an issuer may have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `address` belongs to the public Internet, as an issuer's should: not to this host, this link, this site or a
/// group. IPv6 forms that carry an IPv4 address (mapped, compatible, translated, NAT64, 6to4) are judged by it.
pub(super) fn is_public(address: IpAddr) -> bool {
    match embedded(address) {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The IPv4 address that this one leads to, if it is a form of one; else itself.
pub(super) fn embedded(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded_v4(v6).map_or(address, IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        // This network (RFC 1122), private (RFC 1918), loopback.
        [0 | 10 | 127, ..] => false,
        // Carrier-grade NAT (RFC 6598).
        [100, 64..=127, ..] => false,
        // Link-local, the metadata services of clouds included.
        [169, 254, ..] => false,
        [172, 16..=31, ..] | [192, 168, ..] => false,
        // Protocol assignments (RFC 6890), benchmarks (RFC 2544), 6to4 relays (RFC 7526).
        [192, 0, 0, _] | [198, 18..=19, ..] | [192, 88, 99, _] => false,
        // Documentation (RFC 5737).
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => false,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => false,
        _ => true,
    }
}

/// Of global unicast (2000::/3) what is no protocol assignment (Teredo and ORCHID among them, RFC 2928) and no documentation.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let assignments = first == 0x2001 && second < 0x200;
    let documentation = (first, second) == (0x2001, 0xdb8) || (first, second & 0xf000) == (0x3fff, 0);
    first & 0xe000 == 0x2000 && !assignments && !documentation
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(join(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// P64.
    #[test]
    fn only_the_public_internet_is_public() {
        let rows = [
            ("this host", "0.0.0.0 127.0.0.1 127.255.255.255 ::1 ::", false),
            ("this network", "0.1.2.3", false),
            ("private", "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1", false),
            ("around private", "9.255.255.255 11.0.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0", true),
            ("link-local, metadata", "169.254.0.1 169.254.169.254 fe80::1 febf::1 fd00:ec2::254", false),
            ("carrier-grade NAT", "100.64.0.1 100.127.255.255", false),
            ("around carrier-grade NAT", "100.63.255.255 100.128.0.0", true),
            ("unique local, site-local", "fc00::1 fdff:ffff::1 fec0::1", false),
            ("multicast, reserved, broadcast", "224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 ff02::1 ff0e::1", false),
            ("protocol assignments, benchmarks", "192.0.0.8 198.18.0.1 198.19.255.255", false),
            ("mapped", "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:0", false),
            ("compatible", "::127.0.0.1 ::10.0.0.1", false),
            ("translated", "::ffff:0:127.0.0.1 ::ffff:0:10.0.0.1 ::ffff:0:169.254.169.254", false),
            ("documentation, relays", "192.0.2.1 198.51.100.1 203.0.113.1 192.88.99.1 2001:db8::1 3fff::1 3fff:fff::1", false),
            ("ORCHID, benchmarks, discard, segments", "2001:10::1 2001:20::1 2001:2::1 100::1 5f00::1 2001:1ff::1", false),
            ("no unicast of anybody", "1::1 4000::1 8000::1 fe00::1", false),
            ("NAT64, 6to4, Teredo", "64:ff9b::10.0.0.1 64:ff9b:1::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2001:0:1::1", false),
            (
                "public",
                "1.1.1.1 104.18.0.1 2606:4700::1 ::ffff:1.1.1.1 64:ff9b::1.1.1.1 2002:101:101::1 2001:4860::8888 2001:200::1 ::ffff:0:1.1.1.1",
                true,
            ),
        ];
        for (name, address) in rows.iter().flat_map(|(name, list, public)| list.split(' ').map(move |address| ((name, *public), address))) {
            assert_eq!(is_public(address.parse().unwrap()), name.1, "{}: {address}", name.0);
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_in_every_spelling(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            prop_assert_eq!(is_public(IpAddr::V6(v4.to_ipv6_mapped())), is_public(IpAddr::V4(v4)));
        }

        /// What std knows to be local is never public.
        #[test]
        fn nothing_local_is_public(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let local = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast();
            prop_assert!(!(local && is_public(IpAddr::V4(v4))));
        }
    }
}
