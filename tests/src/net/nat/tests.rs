use super::*;
use crate::world::epoch;

use Behavior::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

const BEHAVIORS: [Behavior; 3] = [EndpointIndependent, AddressDependent, AddressAndPortDependent];
const PUBLIC: [u8; 4] = [198, 51, 100, 1];

fn after_s(seconds: u64) -> Instant {
    epoch() + Duration::from_secs(seconds)
}

fn inside(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 168, 0, host], port))
}

/// An endpoint in the world.
fn remote(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, host], port))
}

fn nat(rules: Translation) -> Nat {
    Nat::new(NatConfig::Translate(rules), PUBLIC.into(), 1)
}

fn nat_of(mapping: Behavior, filtering: Behavior) -> Nat {
    Nat::new(NatConfig::translate(mapping, filtering), PUBLIC.into(), 1)
}

#[test]
fn mappings_depend_on_what_they_are_said_to() {
    for mapping in BEHAVIORS {
        for filtering in BEHAVIORS {
            let mut nat = nat_of(mapping, filtering);
            let mut out = |to| nat.outbound(epoch(), inside(2, 5_000), to);
            let first = out(remote(1, 1_000));
            let (same, other_port, other_address) =
                (out(remote(1, 1_000)), out(remote(1, 2_000)), out(remote(2, 1_000)));
            assert_eq!(first.ip(), IpAddr::from(PUBLIC));
            assert_eq!(same, first);
            assert_eq!(other_port == first, mapping != AddressAndPortDependent, "{mapping:?}");
            assert_eq!(other_address == first, mapping == EndpointIndependent, "{mapping:?}");
            assert_ne!(nat.outbound(epoch(), inside(2, 5_001), remote(1, 1_000)), first, "another endpoint");
        }
    }
}

#[test]
fn filters_depend_on_what_they_are_said_to() {
    for mapping in BEHAVIORS {
        for filtering in BEHAVIORS {
            let mut nat = nat_of(mapping, filtering);
            let external = nat.outbound(epoch(), inside(2, 5_000), remote(1, 1_000));
            let mut gets_in = |from| match nat.inbound(epoch(), external, from) {
                Some(internal) => internal == inside(2, 5_000),
                None => false,
            };
            assert!(gets_in(remote(1, 1_000)));
            assert_eq!(gets_in(remote(1, 2_000)), filtering != AddressAndPortDependent, "{filtering:?}");
            assert_eq!(gets_in(remote(2, 1_000)), filtering == EndpointIndependent, "{filtering:?}");
            // Who was sent to gets in, by whatever mapping (section 5: what the internal endpoint has sent counts).
            nat.outbound(epoch(), inside(2, 5_000), remote(2, 1_000));
            assert_eq!(nat.inbound(epoch(), external, remote(2, 1_000)), Some(inside(2, 5_000)));
        }
    }
}

#[test]
fn nobody_gets_in_by_what_is_not_mapped() {
    let mut nat = nat_of(EndpointIndependent, EndpointIndependent);
    let external = nat.outbound(epoch(), inside(2, 5_000), remote(1, 1_000));
    let other_port = SocketAddr::new(external.ip(), external.port() + 1);
    let other_address = SocketAddr::new([198, 51, 100, 2].into(), external.port());
    assert_eq!(nat.inbound(epoch(), other_port, remote(1, 1_000)), None);
    assert_eq!(nat.inbound(epoch(), other_address, remote(1, 1_000)), None);
}

#[test]
fn a_mapping_that_is_not_used_expires() {
    let mut nat = nat(Translation {
        filtering: EndpointIndependent,
        port_choice: PortChoice::Sequential,
        ..Translation::default()
    });
    let external = nat.outbound(epoch(), inside(2, 5_000), remote(1, 1_000));
    assert_eq!(nat.inbound(after_s(119), external, remote(1, 1_000)), Some(inside(2, 5_000)));
    assert_eq!(
        nat.inbound(after_s(120), external, remote(1, 1_000)),
        None,
        "what comes in keeps nothing alive"
    );
    assert_ne!(nat.outbound(after_s(121), inside(2, 5_000), remote(1, 1_000)), external);
}

#[test]
fn what_goes_out_keeps_a_mapping_alive_and_only_its_own_permission() {
    let mut nat = nat_of(EndpointIndependent, AddressDependent);
    let external = nat.outbound(epoch(), inside(2, 5_000), remote(1, 1_000));
    for nth in 1..=10 {
        assert_eq!(nat.outbound(after_s(100 * nth), inside(2, 5_000), remote(2, 1_000)), external);
    }
    assert_eq!(nat.inbound(after_s(1_100), external, remote(2, 1_000)), Some(inside(2, 5_000)));
    assert_eq!(nat.inbound(after_s(1_100), external, remote(1, 1_000)), None);
    assert_eq!(nat.inbound(after_s(1_120), external, remote(2, 1_000)), None);
}

#[test]
fn preserved_ports_collide_and_no_port_is_given_twice() {
    let mut nat = nat_of(EndpointIndependent, EndpointIndependent);
    let external = [2, 3, 4].map(|host| nat.outbound(epoch(), inside(host, 5_000), remote(1, 1_000)));
    assert_eq!(external[0].port(), 5_000);
    assert_eq!(BTreeSet::from(external).len(), 3);
    for (host, external) in (2..).zip(external) {
        assert_eq!(nat.inbound(epoch(), external, remote(1, 1_000)), Some(inside(host, 5_000)));
    }
    // Free again once it is expired, for whoever comes first.
    assert_eq!(nat.outbound(after_s(500), inside(4, 5_000), remote(1, 1_000)).port(), 5_000);
}

#[test]
fn ports_are_chosen_as_said() {
    let ports = |port_choice, seed| -> Vec<u16> {
        let rules = Translation { port_choice, ..Translation::default() };
        let mut nat = Nat::new(NatConfig::Translate(rules), PUBLIC.into(), seed);
        (5_000..5_200).map(|port| nat.outbound(epoch(), inside(2, port), remote(1, 1_000)).port()).collect()
    };
    assert_eq!(ports(PortChoice::Preserving, 1), (5_000..5_200).collect::<Vec<u16>>());
    let sequential = ports(PortChoice::Sequential, 1);
    assert!(sequential.windows(2).all(|pair| after(pair[0]) == pair[1]), "{sequential:?}");
    let random = ports(PortChoice::Random, 1);
    assert_eq!(random.iter().collect::<BTreeSet<_>>().len(), 200);
    assert!(random.iter().all(|port| PORTS.contains(port)) && !random.is_sorted());
    let spread = PORTS.end() / 4;
    assert!((0..4).all(|part| random.iter().filter(|port| **port / spread == part).count() > 25));
    for choice in [PortChoice::Sequential, PortChoice::Random] {
        assert_eq!(ports(choice, 7), ports(choice, 7));
        assert_ne!(ports(choice, 7), ports(choice, 8));
    }
}

#[test]
fn sequences_of_ports_go_round() {
    assert_eq!([after(1_024), after(65_534), after(65_535), after(80)], [1_025, 65_535, 1_024, 1_024]);
}

#[test]
fn a_full_table_forgets_what_was_not_used_for_longest() {
    let mut nat =
        nat(Translation { filtering: EndpointIndependent, max_entries: 3, ..Translation::default() });
    let mut out = |seconds, port| nat.outbound(after_s(seconds), inside(2, port), remote(1, 1_000));
    let external = [out(0, 5_000), out(1, 5_001), out(2, 5_002)];
    out(3, 5_000);
    let fourth = out(4, 5_003);
    let mut gets_in = |external| nat.inbound(after_s(5), external, remote(1, 1_000)).is_some();
    assert_eq!(external.map(&mut gets_in), [true, false, true]);
    assert!(gets_in(fourth));
}

#[test]
fn the_port_of_a_mapping_that_had_to_go_is_free() {
    let mut nat = nat(Translation { max_entries: 1, ..Translation::default() });
    for (host, server) in [(2, remote(1, 1_000)), (3, remote(2, 1_000))] {
        let external = nat.outbound(epoch(), inside(host, 5_000), server);
        assert_eq!(external.port(), 5_000);
        assert_eq!(nat.inbound(epoch(), external, server), Some(inside(host, 5_000)));
    }
}

#[test]
fn a_full_table_of_permissions_forgets_the_oldest() {
    let mut nat = nat(Translation { max_entries: 3, ..Translation::default() });
    for nth in 0..5 {
        nat.outbound(after_s(nth), inside(2, 5_000), remote(nth as u8, 1_000));
    }
    let external = SocketAddr::new(PUBLIC.into(), 5_000);
    let got_in = [0, 1, 2, 3, 4].map(|host| nat.inbound(after_s(5), external, remote(host, 1_000)).is_some());
    assert_eq!(got_in, [false, false, true, true, true]);
}

#[test]
fn a_rebinding_gives_other_ports_whatever_the_choice() {
    for port_choice in [PortChoice::Preserving, PortChoice::Sequential, PortChoice::Random] {
        let mut nat = nat(Translation { port_choice, ..Translation::default() });
        let mut old = nat.outbound(epoch(), inside(2, 5_000), remote(1, 1_000));
        for nth in 1..50 {
            nat.rebind();
            assert_eq!(nat.inbound(after_s(nth), old, remote(1, 1_000)), None);
            // Again, before anything goes out: no difference.
            nat.rebind();
            let new = nat.outbound(after_s(nth), inside(2, 5_000), remote(1, 1_000));
            assert_ne!(new, old);
            assert_eq!(nat.inbound(after_s(nth), new, remote(1, 1_000)), Some(inside(2, 5_000)));
            old = new;
        }
    }
}

#[test]
fn hosts_that_swap_appear_where_the_other_one_was() {
    let other_public = [198, 51, 100, 2];
    let config = NatConfig::Translate(Translation::default());
    let (mut a, mut b) = (Nat::new(config, PUBLIC.into(), 1), Nat::new(config, other_public.into(), 2));
    let server = remote(1, 1_000);
    let old_a = a.outbound(epoch(), inside(2, 5_000), server);
    let old_b = b.outbound(epoch(), inside(2, 5_000), server);
    a.swap_public(&mut b);
    assert_eq!((a.public(), b.public()), (IpAddr::from(other_public), IpAddr::from(PUBLIC)));
    for external in [old_a, old_b] {
        assert_eq!(a.inbound(epoch(), external, server), None);
        assert_eq!(b.inbound(epoch(), external, server), None);
    }
    assert_eq!(a.outbound(epoch(), inside(2, 5_000), server), old_b);
    assert_eq!(a.inbound(epoch(), old_b, server), Some(inside(2, 5_000)));
    assert_eq!(a.inbound(epoch(), old_a, server), None);
    assert_eq!(b.outbound(epoch(), inside(2, 5_000), server), old_a);
    // There and back again.
    b.swap_public(&mut a);
    assert_eq!(a.outbound(epoch(), inside(2, 5_000), server), old_a);
    // A port that a rebinding has taken from one host is taken from it in that place only.
    a.rebind();
    a.swap_public(&mut b);
    assert_eq!(a.outbound(epoch(), inside(2, 5_000), server), old_b);
}

#[test]
fn a_host_without_a_translator_is_seen_as_it_is() {
    let host = remote(9, 5_000);
    let mut nat = Nat::new(NatConfig::None, host.ip(), 1);
    assert_eq!(nat.outbound(epoch(), host, remote(1, 1_000)), host);
    nat.rebind();
    assert_eq!(nat.outbound(epoch(), host, remote(1, 1_000)), host);
    assert_eq!(
        nat.inbound(after_s(10_000), host, remote(2, 2_000)),
        Some(host),
        "nothing filters or expires"
    );
    assert_eq!(nat.inbound(epoch(), remote(8, 5_000), remote(1, 1_000)), None, "another host");
}

#[test]
#[should_panic(expected = "max_entries: 0")]
fn a_table_has_room_for_one_at_least() {
    nat(Translation { max_entries: 0, ..Translation::default() });
}
