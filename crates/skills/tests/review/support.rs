//! What the tests of the review share: made-up credentials and the reading of case files.
//!
//! No file of this repository holds text in the form of a live credential: the cases name a fake in double
//! angle brackets, and it is put together here, from a prefix and letters drawn by a fixed formula.

use std::fs;
use std::path::{Path, PathBuf};

const MIXED: &str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789";

/// The fakes: name, parts before, letters to draw from, how many, parts after.
const FAKES: &[(&str, &[&str], &str, usize, &str)] = &[
    (
        "AWS_KEY_ID",
        &["AK", "IA"],
        "ABCDEFGHJKLMNPQRSTUVWXYZ234567",
        16,
        "",
    ),
    ("AWS_SECRET", &[], MIXED, 40, ""),
    ("GITHUB_CLASSIC", &["gh", "p_"], MIXED, 36, ""),
    ("GITLAB", &["gl", "pat-"], MIXED, 20, ""),
    ("SLACK_BOT", &["xo", "xb-", "48120", "33571", "-"], MIXED, 24, ""),
    ("STRIPE_LIVE", &["sk_", "live_"], MIXED, 32, ""),
    ("STRIPE_TEST", &["sk_", "test_"], MIXED, 32, ""),
    ("GOOGLE", &["AI", "za"], MIXED, 35, ""),
    (
        "PEM_BEGIN",
        &["-----BE", "GIN RSA PRI", "VATE KEY-----"],
        "",
        0,
        "",
    ),
    ("PEM_END", &["-----E", "ND RSA PRI", "VATE KEY-----"], "", 0, ""),
    ("PEM_BODY", &["MIIE"], MIXED, 60, ""),
    ("PEM_BODY_2", &[], MIXED, 64, ""),
    ("NPM", &["np", "m_"], MIXED, 36, ""),
    ("PYPI", &["py", "pi-AgE", "IcHlwaS5vcmc"], MIXED, 70, ""),
    ("AZURE", &[], MIXED, 86, "=="),
    ("DIGITALOCEAN", &["do", "p_v1_"], "0123456789abcdef", 64, ""),
    ("LINEAR", &["lin", "_api_"], MIXED, 40, ""),
    ("OPENAI", &["sk-", "proj-"], MIXED, 64, ""),
    ("ANTHROPIC", &["sk-", "ant-", "api03-"], MIXED, 90, ""),
    (
        "HUGGINGFACE",
        &["h", "f_"],
        "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz",
        34,
        "",
    ),
    ("VAULT", &["hv", "s."], MIXED, 90, ""),
    ("DOCKERHUB", &["dckr", "_pat_"], MIXED, 27, ""),
    ("PASSWORD", &["Tr4"], MIXED, 8, "!7"),
    ("RANDOM", &[], MIXED, 32, ""),
    ("BASE64", &[], MIXED, 86, "=="),
    ("HEX64", &[], "0123456789abcdef", 64, ""),
    ("RLO", &["\u{202E}"], "", 0, ""),
    ("POP", &["\u{202C}"], "", 0, ""),
];

/// Fakes that are no credentials, so that reviews may show them.
const SHOWN: &[&str] = &["PEM_BEGIN", "PEM_END", "HEX64", "BASE64", "RLO", "POP"];

fn draw(name: &str, letters: &str, count: usize) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let mut state = name.bytes().fold(2_166_136_261u32, |state, byte| {
        (state ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        letters[(state >> 16) as usize % letters.len()]
    };
    (0..count).map(|_| next()).collect()
}

/// Every fake by the text that stands for it in a case file.
pub fn fakes() -> Vec<(String, String)> {
    let simple = FAKES.iter().map(|(name, before, letters, count, after)| {
        (
            format!("<<FAKE_{name}>>"),
            format!("{}{}{after}", before.concat(), draw(name, letters, *count)),
        )
    });
    let joined = [
        (
            "GITHUB_FINE",
            format!(
                "{}{}_{}",
                ["github", "_pat_"].concat(),
                draw("f1", MIXED, 22),
                draw("f2", MIXED, 59)
            ),
        ),
        (
            "SLACK_HOOK",
            format!(
                "T{}/B{}/{}",
                draw("s1", "ABC23", 10),
                draw("s2", "ABC23", 10),
                draw("s3", MIXED, 24)
            ),
        ),
        (
            "SENDGRID",
            format!(
                "{}{}.{}",
                ["S", "G."].concat(),
                draw("g1", MIXED, 22),
                draw("g2", MIXED, 43)
            ),
        ),
        (
            "JWT",
            format!(
                "{}{}.{}{}.{}",
                ["ey", "J"].concat(),
                draw("j1", MIXED, 33),
                ["ey", "J"].concat(),
                draw("j2", MIXED, 60),
                draw("j3", MIXED, 43)
            ),
        ),
    ];
    let joined = joined
        .into_iter()
        .map(|(name, value)| (format!("<<FAKE_{name}>>"), value));
    simple
        .chain(joined)
        .chain([
            ("<<RLO>>".into(), "\u{202E}".into()),
            ("<<POP>>".into(), "\u{202C}".into()),
        ])
        .collect()
}

/// Puts the fakes into a text.
pub fn with_fakes(text: &str) -> String {
    let text = fakes()
        .into_iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&name, &value));
    assert!(
        !text.contains("<<FAKE_"),
        "the text names an unknown fake: {text}"
    );
    text
}

/// The fakes of a text that no review may show.
pub fn secrets_in(text: &str) -> Vec<String> {
    let secret = |name: &str| {
        !SHOWN
            .iter()
            .any(|shown| name == format!("<<FAKE_{shown}>>") || name == format!("<<{shown}>>"))
    };
    fakes()
        .into_iter()
        .filter(|(name, value)| secret(name) && text.contains(value))
        .map(|(_, value)| value)
        .collect()
}

/// The folder of the cases.
pub fn cases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/review")
}

/// Every case file, in order of its path: the rule, the file's name and its text with fakes put in.
pub fn cases() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for folder in entries(&cases_folder()).into_iter().filter(|path| path.is_dir()) {
        for file in entries(&folder) {
            let text = fs::read_to_string(&file).expect("a case file is text");
            found.push((name(&folder), name(&file), with_fakes(&text)));
        }
    }
    assert!(
        !found.is_empty(),
        "there are cases in {}",
        cases_folder().display()
    );
    found
}

/// The paths in a folder, sorted.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let read =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = read
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    paths.sort();
    paths
}

/// The last part of a path.
pub fn name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
