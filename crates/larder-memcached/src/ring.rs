//! Which server a key belongs to: Ketama, as libmemcached and twemproxy place keys.

use md5::{Digest as _, Md5};

/// The port that libmemcached leaves out of a server's name.
const DEFAULT_PORT: u16 = 11_211;

/// Points of a server of average weight.
const POINTS: f32 = 160.0;

/// Points that one digest gives.
const PER_DIGEST: f32 = 4.0;

/// Servers on a circle of points; a key belongs to the first point at or after its own.
#[derive(Debug)]
pub(crate) struct Ring(Vec<(u32, usize)>);

impl Ring {
    /// Of the host, port and weight of each server, in the order in which they are counted.
    pub(crate) fn new<'a>(servers: impl IntoIterator<Item = (&'a str, u16, u32)>) -> Self {
        let servers: Vec<_> = servers.into_iter().collect();
        let total: u32 = servers.iter().map(|(_, _, weight)| weight).sum();
        let mut points = Vec::new();
        for (at, (host, port, weight)) in servers.iter().enumerate() {
            let name = if *port == DEFAULT_PORT { (*host).to_owned() } else { format!("{host}:{port}") };
            for digest in 0..digests(*weight, total, servers.len()) {
                let digest = Md5::digest(format!("{name}-{digest}"));
                points.extend(digest.chunks_exact(4).map(|four| (number(four), at)));
            }
        }
        points.sort_unstable();
        Self(points)
    }

    /// The servers from where the key is, onwards; each perhaps several times.
    pub(crate) fn walk(&self, key: &str) -> impl Iterator<Item = usize> {
        let own = number(&Md5::digest(key)[..4]);
        let first = self.0.partition_point(|(point, _)| *point < own);
        self.0[first..].iter().chain(&self.0[..first]).map(|(_, server)| *server)
    }
}

fn number(four: &[u8]) -> u32 {
    u32::from_le_bytes(four.try_into().expect("four bytes"))
}

/// How many digests a server gets: in the single precision, and with the nudge, of libmemcached, so that the rounding is
/// the same.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "libmemcached calculates in floating point, and small positive numbers"
)]
fn digests(weight: u32, total: u32, servers: usize) -> u32 {
    let share = weight as f32 / total as f32;
    let digests = share * POINTS / PER_DIGEST * servers as f32;
    (f64::from(digests) + 0.000_000_000_1) as f32 as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    type Server = (&'static str, u16, u32);

    /// Where libmemcached (through pylibmc 1.6.3, behaviours `ketama_weighted` and `hash: md5`) put the keys
    /// `1/users/:key-0` to `1/users/:key-199`, found by asking the servers.
    const LIBMEMCACHED: [(&[Server], &str); 5] = [
        (
            &[("127.0.0.1", 24301, 1), ("127.0.0.2", 24302, 1), ("127.0.0.3", 24303, 1)],
            "1200102122201211022102112010002110121100020220020211221112112002122201021122110112022210021212200202\
             1101012110112222220020011021100010120101001210211200122211210221020201122110121110012010020000210011",
        ),
        (
            &[("127.0.0.1", 24301, 3), ("127.0.0.2", 24302, 1), ("127.0.0.3", 24303, 2)],
            "1000002022200211022100122020002100020100000220000201020212202002222200021022000012022210021002200202\
             1001010200102022220020000020200000120200001200011200022201200221020000122000121100012000020000210000",
        ),
        (
            &[("127.0.0.1", 11211, 1), ("127.0.0.2", 11211, 1), ("127.0.0.3", 24303, 1)],
            "2111022101201210022111120120100010120110020210111211021112222211112200021021120021122002222202221202\
             2121111201211122020020001020021001020210110110122202110111100222120111222001102110202001020100100000",
        ),
        (
            &[
                ("127.0.0.1", 24301, 1),
                ("127.0.0.2", 24302, 1),
                ("127.0.0.3", 24303, 7),
                ("127.0.0.4", 24304, 2),
                ("127.0.0.5", 24305, 1),
            ],
            "4232222322221213022323122222202321220122222223233312422222222212332311224222222244222312423202230222\
             4221122230124422322242022222224224222222322222432212224221442223022223122322122424212242322021222221",
        ),
        (
            &[("localhost", 24306, 1), ("127.0.0.3", 24303, 1)],
            "1100011011010100111100001011001100011010000110110001010101001100001110010010001011011011111101101101\
             1110101000011001111010001110100100010100000001010111011011000110010000111110010010011000010110100001",
        ),
    ];

    #[test]
    fn keys_are_where_libmemcached_puts_them() {
        for (servers, placed) in LIBMEMCACHED {
            let ring = Ring::new(servers.iter().copied());
            let ours: String = (0..200)
                .map(|n| ring.walk(&format!("1/users/:key-{n}")).next().unwrap().to_string())
                .collect();
            assert_eq!(ours, placed, "{servers:?}");
        }
    }

    #[test]
    fn a_walk_meets_every_server() {
        let ring = Ring::new([("a", 1, 1), ("b", 1, 1), ("c", 1, 5)]);
        let mut met: Vec<_> = ring.walk("key").collect();
        met.sort_unstable();
        met.dedup();
        assert_eq!(met, [0, 1, 2]);
    }
}
