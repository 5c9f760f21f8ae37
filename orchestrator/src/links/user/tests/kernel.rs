//! The kernel as judge: it segments the same trains, and every byte must be the same.
//!
//! A namespace routes from a device that takes trains to one that does not, so that the kernel has to cut what we write
//! into the first. Needs the capability to make namespaces; says so and passes without.

use std::{
    io::Write,
    os::fd::AsFd,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::packets::{ALICE, BOB, Built};
use crate::{
    links::{
        emulation::train::{Mark, Run},
        user::{
            cut::{complete, cut, cut_length},
            device::{Device, Trains},
            frame::{FRAME_MAX, Frame, OFFLOAD},
            system,
        },
    },
    real::netns::Namespace,
};

#[test]
fn the_kernel_cuts_the_same_trains_into_the_same_packets() {
    let trains = [
        Built::udp(5 * 1200 + 3).train(1200),
        Built::udp(40 * 1400).train(1400),
        Built::tcp(3 * 1448 + 700, u32::MAX - 2000, 0x18).train(1448),
        Built::tcp(45 * 1448, 1, 0x99).train(1448),
    ];
    let checked = thread::spawn(move || {
        let Some((inner, outer)) = router() else { return };
        for train in &trains {
            let bytes = train.as_handed_over();
            inner.write(&bytes).unwrap();
            let frame = Frame::read(&bytes).unwrap();
            for segment in 0..frame.train.segments {
                let run = Run { first: segment, count: 1, mark: Mark::Plain };
                let mut ours = vec![0; cut_length(&frame, &run)];
                cut(&routed(&bytes), &frame, &run, &mut ours);
                complete(&mut ours);
                assert_eq!(read(&outer)[OFFLOAD..], ours[OFFLOAD..], "segment {segment}");
            }
        }
    });
    checked.join().unwrap();
}

/// A namespace that routes Alice's packets to Bob, and its two devices; none where it cannot be made.
#[expect(clippy::print_stdout, reason = "tests tell what they skip")]
fn router() -> Option<(Device, Device)> {
    let made = Namespace::create().and_then(|_| Ok((Device::create("inner", 2)?, Device::create("outer", 3)?)));
    let (inner, outer) = match made {
        Ok(devices) => devices,
        Err(error) => {
            println!("skipped: no TUN device in a namespace can be made here ({error}); run as root");
            return None;
        }
    };
    if inner.trains() != Trains::TcpAndUdp {
        println!("skipped: this kernel has no trains of UDP datagrams on TUN devices (before 6.2)");
        return None;
    }
    system::switch_on_offloads(outer.as_fd(), 0).unwrap();
    std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    let script = format!(
        "link set inner up\nlink set outer txqueuelen 1000 up\nroute add {ALICE} dev inner\nroute add {BOB} dev outer\n"
    );
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    ip.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(ip.wait().unwrap().success());
    Some((inner, outer))
}

/// A frame after one hop: the TTL is one less.
fn routed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[OFFLOAD + 8] -= 1;
    bytes
}

fn read(device: &Device) -> Vec<u8> {
    let mut buffer = vec![0; FRAME_MAX];
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(length) = device.read(&mut buffer).unwrap() {
            buffer.truncate(length);
            return buffer;
        }
        assert!(Instant::now() < deadline, "the kernel forwards nothing");
        thread::yield_now();
    }
}
