//! What the kernel has dropped before a socket was read.
use std::net::UdpSocket;

/// Datagrams dropped because the receive buffer was full, since the socket was made; `None` where the system does not tell.
///
/// Read when it is asked for: nothing is added to each datagram, as the control messages of `SO_RXQ_OVFL` would.
#[cfg(target_os = "linux")]
pub fn receive_drops(socket: &UdpSocket) -> Option<u32> {
    use std::os::fd::AsRawFd as _;
    /// `SK_MEMINFO_VARS` and the place of `SK_MEMINFO_DROPS` in them (linux/sock_diag.h).
    const VARIABLES: usize = 9;
    const DROPS: usize = 8;
    let mut values = [0u32; VARIABLES];
    let mut len = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the pointers are to locals of the lengths given, which outlive the call; the kernel writes at most `len` bytes, and
    // any bytes are numbers.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    (result == 0 && len as usize >= size_of_val(&values)).then_some(values[DROPS])
}

/// Datagrams dropped because the receive buffer was full: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn receive_drops(_: &UdpSocket) -> Option<u32> {
    None
}
