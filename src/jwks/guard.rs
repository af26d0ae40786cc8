//! Where an issuer's name may lead: judged once the name is resolved, and only a judged address is connected to (P64).

use super::{PrivateIssuers, address};
use ipnet::IpNet;
use std::net::IpAddr;

/// The public Internet, but not the networks of this cluster, and whatever the operator names besides.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    private: PrivateIssuers,
    /// Of pods, Services and nodes, whose addresses may be public ones.
    cluster: Vec<IpNet>,
}

// === impl Guard ===

impl Guard {
    pub(super) fn new(private: PrivateIssuers, cluster: Vec<IpNet>) -> Self {
        Self { private, cluster }
    }

    pub(super) fn set_cluster(&mut self, cluster: Vec<IpNet>) {
        self.cluster = cluster;
    }

    /// Whether `host` may lead to `address`. A network of the cluster is opened by a named host, or by a named network that lies
    /// in it: `10.0.0.0/8` does not open a cluster's `10.96.0.0/12`.
    pub(super) fn allows(&self, host: &str, address: IpAddr) -> bool {
        let plain = address::embedded(address);
        let cluster = self.cluster.iter().filter(|network| network.contains(&address) || network.contains(&plain));
        match cluster.map(IpNet::prefix_len).max() {
            Some(length) => self.private.allow(host, plain, length),
            None => address::is_public(address) || self.private.allow(host, plain, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(private: &str, cluster: &str) -> Guard {
        let cluster = cluster.split(',').filter(|text| !text.is_empty()).map(|text| text.parse().unwrap()).collect();
        Guard::new(private.parse().unwrap(), cluster)
    }

    /// P63, P64.
    #[test]
    fn the_networks_of_the_cluster_are_closed_unless_they_are_named() {
        let (none, pods) = ("", "10.244.0.0/16,203.0.114.0/24,2600:1f00::/40");
        let rows = [
            ("public", none, pods, "8.8.8.8", true),
            ("private", none, pods, "192.168.0.1", false),
            ("a pod", none, pods, "10.244.0.7", false),
            ("a node with a public address", none, pods, "203.0.114.7", false),
            ("the same without the flag", none, none, "203.0.114.7", true),
            ("the same, mapped", none, pods, "::ffff:203.0.114.7", false),
            ("the same, through NAT64", none, pods, "64:ff9b::203.0.114.7", false),
            ("an IPv6 pod with a public address", none, pods, "2600:1f00::7", false),
            ("beside it", none, pods, "2600:2f00::7", true),
            ("the host is named", "idp.example", pods, "10.244.0.7", true),
            ("another host is named", "other.example", pods, "10.244.0.7", false),
            ("the network is named", "10.244.0.0/16", pods, "10.244.0.7", true),
            ("a part of it is named", "10.244.0.7/32", pods, "10.244.0.7", true),
            ("another part of it is named", "10.244.0.8/32", pods, "10.244.0.7", false),
            ("a wider network does not mean the cluster", "10.0.0.0/8", pods, "10.244.0.7", false),
            ("and does mean what is beside it", "10.0.0.0/8", pods, "10.1.0.7", true),
            ("everything does not mean the cluster", "0.0.0.0/0", pods, "203.0.114.7", false),
        ];
        for (name, private, cluster, address, allowed) in rows {
            assert_eq!(guard(private, cluster).allows("idp.example", address.parse().unwrap()), allowed, "{name}");
        }
    }

    #[test]
    fn the_innermost_network_of_a_cluster_decides() {
        let nested = guard("10.96.0.0/12", "10.96.0.0/12,10.96.0.0/24");
        assert!(nested.allows("a", "10.97.0.1".parse().unwrap()));
        assert!(!nested.allows("a", "10.96.0.1".parse().unwrap()), "the API server's, say");
    }
}
