//! Seeds: every random choice of a test comes from one number that is printed and can be given.

/// The seed of this test process: `GUILDHALL_SEED` when set, else a random one. It is printed, so that a failure
/// can be repeated with `GUILDHALL_SEED=N`.
pub fn seed() -> u64 {
    static SEED: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("GUILDHALL_SEED").ok();
        let seed = match &given {
            Some(text) => text
                .trim()
                .parse()
                .expect("GUILDHALL_SEED is a whole number below 2^64"),
            None => rand::random(),
        };
        println!("seed: GUILDHALL_SEED={seed}");
        seed
    })
}

/// A generator for one test, from the process's seed and the test's name, so that tests do not disturb each other.
pub fn rng(test: &str) -> rand::rngs::StdRng {
    use rand::SeedableRng;
    let mixed = test.bytes().fold(seed(), |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    rand::rngs::StdRng::seed_from_u64(mixed)
}
