//! Which addresses an issuer may have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `address` belongs to the public Internet, as an issuer's should: not to this host, this link, this site or a
/// group. IPv6 forms that carry an IPv4 address (mapped, compatible, NAT64, 6to4) are judged by it.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => embedded_v4(address).map_or_else(|| is_public_v6(address), is_public_v4),
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
        // Protocol assignments (RFC 6890), benchmarks (RFC 2544).
        [192, 0, 0, _] | [198, 18..=19, ..] => false,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => false,
        _ => true,
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    let link_or_site = matches!(first & 0xffc0, 0xfe80 | 0xfec0);
    let unique_local = first & 0xfe00 == 0xfc00;
    let local_nat64 = (first, second, third) == (0x64, 0xff9b, 1);
    let teredo = (first, second) == (0x2001, 0);
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || link_or_site || unique_local || local_nat64 || teredo)
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}
