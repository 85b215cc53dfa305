#!/usr/bin/env bash
# A media socket whose kernel buffer is full: pictures are dropped and counted, sound and control are held and sent later. A network
# namespace of its own, whose loopback device carries 20 Mbit/s, makes the buffer fill. Needs root, ip and tc; ends by itself,
# and leaves no namespace behind. Usage: tests/full_socket.sh FULL_SOCKET
# FULL_SOCKET is the example `full_socket` of the crate `sansfu-tests`.
set -euo pipefail

space=sansfu-full-$$
trap 'ip netns del "$space" 2>/dev/null || true' EXIT

if ! why=$(ip netns add "$space" 2>&1); then
    echo "0 passed, 0 failed, 1 skipped: the kernel refuses network namespaces ($why)"
    exit 0
fi
ip -n "$space" link set lo up
if ! why=$(ip netns exec "$space" tc qdisc add dev lo root tbf rate 20mbit burst 32kb limit 64mb 2>&1); then
    echo "0 passed, 0 failed, 1 skipped: the kernel has no token bucket ($why)"
    exit 0
fi
if ip netns exec "$space" timeout 120 "$1"; then
    echo "1 passed, 0 failed"
else
    echo "0 passed, 1 failed"
    exit 1
fi
