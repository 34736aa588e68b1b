//! Which addresses belong to the public internet. The ranges are those of IANA's special-purpose address registries
//! (IPv4 and IPv6) that are not globally reachable, with multicast; an IPv4 address inside an IPv6 one counts as itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address may be dialled for a host that is not the operator's own.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

/// Network and prefix length.
type Range4 = ([u8; 4], u32);
type Range6 = ([u16; 8], u32);

const SPECIAL_V4: [Range4; 16] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private use
    ([100, 64, 0, 0], 10),   // shared with the carrier
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local: the metadata of clouds
    ([172, 16, 0, 0], 12),   // private use
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // deprecated relay anycast
    ([192, 168, 0, 0], 16),  // private use
    ([198, 18, 0, 0], 15),   // benchmarking
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, and the broadcast address
    ([192, 175, 48, 0], 24), // answers for private addresses' names
];

/// Of what is left only 2000::/3 is handed out.
const GLOBAL_V6: Range6 = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

const SPECIAL_V6: [Range6; 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, benchmarking, ORCHID
    ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2620, 0x004f, 0x8000, 0, 0, 0, 0, 0], 48), // answers for private addresses' names
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !SPECIAL_V4
        .iter()
        .any(|(network, length)| (bits ^ u32::from(Ipv4Addr::from(*network))) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within = |(network, length): &Range6| {
        (u128::from(address) ^ u128::from(Ipv6Addr::from(*network))) >> (128 - length) == 0
    };
    within(&GLOBAL_V6) && !SPECIAL_V6.iter().any(within)
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, translated (64:ff9b::/96) or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, a, b] | [0, 0, 0, 0, 0, 0, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => low(a, b),
        [0x2002, a, b, ..] => low(a, b),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORBIDDEN: &str = "
        0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.1.2.3 169.254.0.1
        169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1
        192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1
        239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::a9fe:a9fe ::ffff:127.0.0.1
        ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1
        64:ff9b:1:ffff::8.8.8.8 100::1 100:0:0:1::1 2001::1 2001:0:4136:e378::1 2001:2::1 2001:10::1
        2001:20::1 2001:1ff:ffff::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:c0a8:101::1
        2620:4f:8000::1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd12:3456::1 fdff::1 fe80::1 febf::1
        fec0::1 feff::1 ff02::1 ff0e::1
    ";

    const PUBLIC: &str = "
        1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
        169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255
        192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::808:808
        2002:808:808::1 2001:200::1 2001:4860:4860::8888 2606:4700::6810:85e5 2a00:1450:4001::1 3ffe::1
    ";

    #[test]
    fn nothing_but_the_public_internet_is_public() {
        for text in FORBIDDEN.split_whitespace() {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in PUBLIC.split_whitespace() {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
