#!/usr/bin/env bash
# A server on a private address behind a 1:1 NAT, as on a cloud host, with the flags that the README names: a client on the other
# side, which has no route to the private address, must hold a call. Three network namespaces stand for host, NAT and client.
# Needs root, ip and nft; ends by itself, and leaves no namespace behind. Usage: tests/private_ip.sh CALL SERVER...
# CALL is the example `call` of the crate `sansfu-tests`, SERVER a server binary.
set -euo pipefail

call=$1
shift
private=10.0.0.5
public=203.0.113.7
host=sansfu-host-$$
nat=sansfu-nat-$$
client=sansfu-client-$$
log=$(mktemp)
server=
passed=0
failed=0

cleanup() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    for space in "$host" "$nat" "$client"; do ip netns del "$space" 2>/dev/null || true; done
    rm -f "$log"
}
trap cleanup EXIT

if ! why=$(ip netns add "$host" 2>&1); then
    echo "0 passed, 0 failed, 1 skipped: the kernel refuses network namespaces ($why)"
    exit 0
fi

# A link between two namespaces: name, address and device at either end.
link() {
    ip link add "$3" netns "$1" type veth peer name "$6" netns "$4"
    ip -n "$1" address add "$2" dev "$3"
    ip -n "$4" address add "$5" dev "$6"
    ip -n "$1" link set "$3" up
    ip -n "$4" link set "$6" up
}

ip netns add "$nat"
ip netns add "$client"
for space in "$host" "$nat" "$client"; do ip -n "$space" link set lo up; done
link "$host" "$private/24" eth0 "$nat" 10.0.0.1/24 inside
link "$nat" "$public/24" outside "$client" 203.0.113.100/24 eth0
ip -n "$host" route add default via 10.0.0.1
ip netns exec "$nat" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip netns exec "$nat" nft -f - <<RULES
table ip nat {
    chain in { type nat hook prerouting priority -100; ip daddr $public dnat to $private; }
    chain out { type nat hook postrouting priority 100; ip saddr $private snat to $public; }
}
RULES

# A call through the NAT, to a server with these flags besides those of the address.
try() {
    ip netns exec "$host" "$@" --http 0.0.0.0:3000 --rtc-ipv4 "$private" --rtc-ipv6 off \
        --rtc-announced-ipv4 "$public" >"$log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        grep -q "http://" "$log" && break
        sleep 0.1
    done
    # Everything that the client was told leads to the public address.
    if used=$(ip netns exec "$client" timeout 60 "$call" "$public:3000") \
        && [ -n "$used" ] && ! grep -qv "^$public:" <<<"$used"; then
        passed=$((passed + 1))
        echo "ok: $* ($(tr '\n' ' ' <<<"$used"))"
    else
        failed=$((failed + 1))
        echo "failed: $*"
        cat "$log"
    fi
    kill "$server" && wait "$server" || true
    server=
}

for binary in "$@"; do
    try "$binary"
    try "$binary" --rtc-min-port 40000 --rtc-max-port 40999
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
