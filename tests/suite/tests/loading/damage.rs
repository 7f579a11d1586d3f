//! Files that are damaged: they are refused, and nothing dies of them.

use atelier_host::plugins::preflight::preflight;
use atelier_suite::{child, plugin};

use crate::{changed, find, manifest_of, refusal, refused, written};

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn a_library_cut_off_anywhere_is_refused() {
    let whole = std::fs::read(plugin("order-first")).expect("a library");
    assert!(preflight(&whole).is_ok());
    let mut numbers = Numbers(7);
    let ends = [1, 3, 4, 16, 63, 64, 65, 4096, whole.len() / 2, whole.len() - 1];
    let random = (0..500).map(|_| numbers.below(whole.len()));
    for end in ends.into_iter().chain(random) {
        assert!(preflight(&whole[..end]).is_err(), "cut at {end} of {}", whole.len());
    }
}

/// The system's loader would end the process with SIGBUS at some of these.
#[test]
fn a_host_survives_libraries_cut_off() {
    if !child::is_this() {
        child::run("damage::a_host_survives_libraries_cut_off", &[]);
        return;
    }
    let whole = std::fs::read(plugin("order-first")).expect("a library");
    let mut numbers = Numbers(11);
    for part in 1..8 {
        let at = whole.len() * part / 8 + numbers.below(1000);
        let (_folder, path) = written(&whole[..at]);
        refused(&path, &["cut off: ", "copy or build the file again"]);
    }
    for (end, words) in [(2, "does not begin as ELF"), (30, "cut off"), (80, "cut off")] {
        let (_folder, path) = written(&whole[..end]);
        refused(&path, &[words]);
    }
}

#[test]
fn damaged_headers_are_refused_or_harmless() {
    let whole = std::fs::read(plugin("order-first")).expect("a library");
    let mut numbers = Numbers(13);
    // The ELF header and the program headers behind it: whatever stands there, reading it is safe.
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..=numbers.below(3) {
            let at = numbers.below(64 + 14 * 56);
            bytes[at] = numbers.below(256) as u8;
        }
        let _ = preflight(&bytes);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_library_for_another_machine_says_for_which() {
    let (other, name) =
        if cfg!(target_arch = "x86_64") { (183_u16, "64-bit Arm") } else { (62, "x86-64") };
    let library = plugin("order-first");
    let (_folder, path) =
        changed(&library, |bytes| bytes[18..20].copy_from_slice(&other.to_le_bytes()));
    refused(&path, &["built for ", name, "build the plugin for this machine"]);
    let (_folder, path) =
        changed(&library, |bytes| bytes[18..20].copy_from_slice(&0xf00d_u16.to_le_bytes()));
    refused(&path, &["machine type 61453"]);
    // 32 bits; a program instead of a library.
    let (_folder, path) = changed(&library, |bytes| bytes[4] = 1);
    refused(&path, &["64-bit ELF"]);
    let (_folder, path) = changed(&library, |bytes| bytes[16] = 2);
    refused(&path, &["no shared library"]);
}

#[test]
fn a_damaged_manifest_is_refused_with_what_is_wrong() {
    type Damage = fn(&mut [u8]);
    let library = plugin("order-first");
    let cases: [(&str, Damage); 6] = [
        ("does not begin with ATELIERM", |manifest| manifest[0] = b'X'),
        ("manifest format 2 is newer", |manifest| manifest[8] = 2),
        ("longer than 64 KiB", |manifest| manifest[15] = 0x7f),
        ("the manifest is cut off", |manifest| manifest[13] = 0xff),
        ("EOF while parsing", |manifest| manifest[12] -= 1),
        ("not UTF-8", |manifest| manifest[20] = 0xff),
    ];
    for (words, damage) in cases {
        let (_folder, path) = changed(&library, |bytes| {
            let at = manifest_of(bytes);
            damage(&mut bytes[at..]);
        });
        refused(&path, &["its manifest cannot be read", words, "build it with a released"]);
    }
}

/// JSON of the same length: what the file says is read before its code runs, and compared after.
#[test]
fn an_edited_manifest_is_refused() {
    let library = plugin("order-first");
    let edited = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        changed(&library, |bytes| {
            let start = manifest_of(bytes);
            let found = find(&bytes[start..start + 400], from.as_bytes());
            let at = start + found.first().expect("the text is in the manifest");
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        })
    };
    for (from, to, words) in [
        ("Order first", "Order worst", "name is \"Order worst\" in the file and \"Order first\""),
        ("\"process\"", "\"prozess\"", "hooks is [\"prozess\"] in the file"),
        ("\"probe-a\"", "\"probe-b\"", "before is [\"probe-b\"] in the file"),
    ] {
        let (_folder, path) = edited(from, to);
        refused(&path, &["tells another manifest than its file", words, "do not edit"]);
    }
    // These are refused before any of its code runs.
    let abi = format!("\"abi\":\"{}\"", atelier_plugin_abi::version::ABI_VERSION);
    for (from, to, words) in [
        (&*abi, "\"abi\":\"9.0\"", "built for plugin ABI 9.0"),
        (&*abi, "\"abi\":\"new\"", "“new” is no ABI version"),
        ("z-order-first", "Z ORDER FIRST", "is no plugin id"),
        ("\"version\"", "\"verzion\"", "missing field `version`"),
        ("\"unwind\"", "\"unwinb\"", "unknown variant `unwinb`"),
    ] {
        let (_folder, path) = edited(from, to);
        let reason = refusal(&path);
        assert!(reason.contains(words), "{reason}");
    }
}
