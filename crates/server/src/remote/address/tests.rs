use proptest::prelude::*;

use super::*;

fn url(text: &str) -> RemoteUrl {
    text.parse().unwrap()
}

fn admitting(endpoints: &[&str]) -> Policy {
    let admitted = endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect();
    Policy { admitted, only: None }
}

/// A resolver that returns the same addresses for every name.
#[derive(Debug)]
struct Fixed(Vec<IpAddr>);

impl Resolver for Fixed {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

fn fixed(addresses: &[&str]) -> Fixed {
    Fixed(addresses.iter().map(|address| address.parse().unwrap()).collect())
}

#[test]
fn places_on_the_open_internet_are_global() {
    for address in [
        "1.1.1.1",
        "140.82.121.4",
        "172.15.0.1",
        "172.32.0.1",
        "100.63.0.1",
        "100.128.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "2001:4860:4860::8888",
    ] {
        assert!(is_global_unicast(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn other_addresses_are_not() {
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!is_global_unicast(address.parse().unwrap()), "{address}");
    }
}

#[tokio::test]
async fn one_inner_address_among_the_answers_spoils_all() {
    let policy = Policy::default();
    let url = url("https://example.org/x");
    let found = policy.resolve(&url, &fixed(&["2606:4700::1111", "1.1.1.1"])).await.unwrap();
    assert_eq!(found, "1.1.1.1".parse::<IpAddr>().unwrap());
    let error = policy.resolve(&url, &fixed(&["1.1.1.1", "127.0.0.1"])).await.unwrap_err();
    assert!(matches!(error, ResolveError::Blocked(Blocked::Address { .. })), "{error}");
    let error = policy.resolve(&url, &fixed(&[])).await.unwrap_err();
    assert!(matches!(error, ResolveError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn an_address_in_the_url_is_looked_at_like_any() {
    let nobody = fixed(&[]);
    let policy = Policy::default();
    policy.resolve(&url("https://10.0.0.1/x"), &nobody).await.unwrap_err();
    policy.resolve(&url("https://[::1]/x"), &nobody).await.unwrap_err();
    policy.resolve(&url("https://1.1.1.1/x"), &nobody).await.unwrap();
}

#[tokio::test]
async fn the_operator_can_admit_a_host_inside() {
    let policy = admitting(&["git.lan:3000", "127.0.0.1"]);
    let inside = fixed(&["192.168.1.5"]);
    policy.resolve(&url("http://git.lan:3000/x"), &inside).await.unwrap();
    policy.resolve(&url("ssh://git@127.0.0.1:4000/x"), &inside).await.unwrap();
    for refused in ["http://git.lan/x", "https://git.lan/x", "http://other.lan:3000/x"] {
        policy.resolve(&url(refused), &inside).await.unwrap_err();
    }
}

#[test]
fn plain_http_and_odd_ports_are_for_admitted_hosts() {
    let policy = Policy::default();
    assert_eq!(policy.check(&url("http://example.org/x")), Err(Blocked::Http));
    assert_eq!(policy.check(&url("https://example.org:22/x")), Err(Blocked::Port(22)));
    assert_eq!(policy.check(&url("ssh://example.org:6379/x")), Err(Blocked::Port(6379)));
    policy.check(&url("https://example.org:8443/x")).unwrap();
    policy.check(&url("ssh://git@ssh.github.com:443/x")).unwrap();
}

#[test]
fn a_platform_can_name_the_only_hosts() {
    let only = Some(vec!["github.com".parse().unwrap()]);
    let policy = Policy { only, ..admitting(&["git.lan"]) };
    policy.check(&url("https://GITHUB.com/x")).unwrap();
    policy.check(&url("https://git.lan/x")).unwrap();
    let refused = policy.check(&url("git@codeberg.org:x"));
    assert_eq!(refused, Err(Blocked::Host("codeberg.org".to_owned())));
}

#[test]
fn an_endpoint_reads_as_it_is_written() {
    for text in ["git.lan", "git.lan:3000", "127.0.0.1:80", "[::1]:80", "[fd00::1]"] {
        assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
    }
    for text in ["", "a b", "git.lan:", "git.lan:0", "http://git.lan", "::1"] {
        text.parse::<Endpoint>().expect_err(text);
    }
}

#[test]
fn an_address_without_a_way_to_it_is_taken_only_if_there_is_no_other() {
    let url = url("https://example.org/x");
    let [four, six]: [IpAddr; 2] =
        ["93.184.216.34", "2606:2800::1"].map(|text| text.parse().unwrap());
    let choose = |is_way: fn(IpAddr) -> bool| {
        Policy::default().choose(&url, &[six, four], is_way).unwrap().unwrap()
    };
    assert_eq!(choose(|_| true), four);
    assert_eq!(choose(|address| address.is_ipv6()), six);
    assert_eq!(choose(|_| false), six);
}

proptest! {
    #[test]
    fn everything_in_a_reserved_network_is_refused(bits in any::<u32>(), which in 0..RESERVED_V4.len()) {
        let (net, length) = RESERVED_V4[which];
        let mask = u32::MAX.checked_shr(length).unwrap_or(0);
        let address = Ipv4Addr::from_bits(net.to_bits() | (bits & mask));
        prop_assert!(!is_global_unicast(address.into()));
        prop_assert!(!is_global_unicast(address.to_ipv6_mapped().into()));
        prop_assert!(!is_global_unicast(address.to_ipv6_compatible().into()));
    }

    #[test]
    fn nothing_that_std_knows_to_be_special_is_global(bits in any::<u128>(), v4 in any::<u32>()) {
        let six = Ipv6Addr::from_bits(bits);
        if six.is_loopback() || six.is_unspecified() || six.is_multicast() || six.is_unique_local()
            || six.is_unicast_link_local() || six.to_ipv4_mapped().is_some()
        {
            prop_assert!(!is_global_unicast(six.into()));
        }
        let four = Ipv4Addr::from_bits(v4);
        if four.is_loopback() || four.is_private() || four.is_link_local() || four.is_multicast()
            || four.is_broadcast() || four.is_documentation() || four.is_unspecified()
        {
            prop_assert!(!is_global_unicast(four.into()));
        }
    }

    #[test]
    fn what_is_chosen_was_among_the_answers_and_is_global(found in prop::collection::vec(any::<IpAddr>(), 0..4)) {
        let url = url("https://example.org/x");
        if let Ok(chosen) = Policy::default().choose(&url, &found, |_| true) {
            prop_assert_eq!(chosen.is_none(), found.is_empty());
            prop_assert!(found.iter().all(|address| is_global_unicast(*address)));
            prop_assert!(chosen.is_none_or(|chosen| found.contains(&chosen)));
        }
    }
}
