//! Networks as people write them: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error};

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Reads a network; bits beyond the prefix must be zero, so that a slip is noticed.
    fn read(text: &str) -> Option<Network> {
        // `ipnet` alone would read 010.0.0.0 as 10.0.0.0.
        let address: IpAddr = text.split('/').next()?.parse().ok()?;
        let network: IpNet = match text.contains('/') {
            true => text.parse().ok()?,
            false => address.into(),
        };
        (network == network.trunc()).then_some(Network(network))
    }

    /// Whether an address belongs to it. An IPv4 address in IPv6 clothes is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether an address belongs to one of these.
    pub fn is_among(address: IpAddr, networks: &[Network]) -> bool {
        networks.iter().any(|network| network.contains(address))
    }
}

/// Reads a list of networks, for `#[serde(deserialize_with)]`.
pub(crate) fn networks<'de, D: Deserializer<'de>>(de: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(de)?;
    let networks: Option<Vec<Network>> = texts.iter().map(|text| Network::read(text)).collect();
    networks
        .ok_or_else(|| D::Error::custom("must be networks such as \"10.0.0.0/8\", or addresses"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_its_first_bits() {
        let holds = |network: &str, address: &str| {
            Network::read(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1/32", "127.0.0.2"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "2001:db8::1") && !holds("::/0", "10.0.0.1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::2") && !holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        for bad in ["", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/+8", "ten", "::1/129"] {
            assert_eq!(Network::read(bad), None, "{bad}");
        }
    }
}
