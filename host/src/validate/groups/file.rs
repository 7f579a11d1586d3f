//! The file, without running any of it.

use object::{
    Endianness, elf,
    read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _},
};

use crate::{
    plugins::{LoadError, Manifest, discover, manifest::PanicStrategy, preflight::preflight},
    validate::{
        check::{Check, Found, Group, Verdict, ensure},
        subject::Subject,
    },
};
use atelier_plugin_abi::{
    Hook,
    version::{ABI_VERSION, AbiVersion},
};

/// Libraries of the system that every Linux has.
const SYSTEM: [&str; 9] = [
    "libc.so",
    "libm.so",
    "libgcc_s.so",
    "libstdc++.so",
    "libpthread.so",
    "libdl.so",
    "librt.so",
    "ld-linux",
    "libatomic.so",
];
const LARGE: usize = 64 << 20;

const fn check(
    id: &'static str,
    level: u8,
    about: &'static str,
    run: fn(&Subject) -> Found,
) -> Check {
    Check { id, group: Group::File, level, about, run }
}

pub(in crate::validate) const CHECKS: &[Check] = &[
    check(
        "file-is-library",
        1,
        "the file is a shared library of this system's kind",
        file_is_library,
    ),
    check("file-is-whole", 1, "the file is as long as its headers say", file_is_whole),
    check("machine-matches", 1, "it is built for this kind of machine", machine_matches),
    check(
        "manifest-present",
        1,
        "it has a manifest that can be read without running it",
        manifest_present,
    ),
    check(
        "manifest-readable",
        1,
        "the manifest is JSON with the fields that a host needs",
        manifest_readable,
    ),
    check("id-unique", 1, "no other plugin in the same folder has its id", id_unique),
    check(
        "version-semantic",
        1,
        "its version has three numbers, as semantic versions do",
        version_semantic,
    ),
    check("abi-runs", 1, "this host runs the version of the ABI that it was built for", abi_runs),
    check("hooks-known", 1, "every hook it names exists, and it names one at least", hooks_known),
    check("panics-unwind", 1, "a panic in it can be caught", panics_unwind),
    check(
        "order-sensible",
        1,
        "its wishes for an order name other plugins and hooks that exist",
        order_sensible,
    ),
    check("no-run-path", 1, "it does not bring a fixed path to look for libraries in", no_run_path),
    check(
        "needs-system-only",
        1,
        "it needs no library that other computers may lack",
        needs_system_only,
    ),
    check(
        "stack-not-executable",
        1,
        "it does not ask for a stack that code can run on",
        stack_not_executable,
    ),
    check("size-moderate", 1, "the file has at most 64 MiB", size_moderate),
];

fn file_is_library(subject: &Subject) -> Found {
    match preflight(&subject.bytes()?) {
        Err(error @ LoadError::NotALibrary { .. }) => Err(Verdict::fail(error.to_string())),
        _ => Ok(()),
    }
}

fn file_is_whole(subject: &Subject) -> Found {
    match preflight(&subject.bytes()?) {
        Err(error @ LoadError::Truncated { .. }) => Err(Verdict::fail(error.to_string())),
        _ => Ok(()),
    }
}

fn machine_matches(subject: &Subject) -> Found {
    match preflight(&subject.bytes()?) {
        Err(error @ LoadError::Machine { .. }) => Err(Verdict::fail(error.to_string())),
        _ => Ok(()),
    }
}

fn manifest_present(subject: &Subject) -> Found {
    match Manifest::of_library(&subject.bytes()?) {
        Err(error @ LoadError::NoManifest) => Err(Verdict::fail(error.to_string())),
        _ => Ok(()),
    }
}

fn manifest_readable(subject: &Subject) -> Found {
    match Manifest::of_library(&subject.bytes()?) {
        Err(error @ LoadError::BadManifest { .. }) => Err(Verdict::fail(error.to_string())),
        _ => Ok(()),
    }
}

fn id_unique(subject: &Subject) -> Found {
    let id = subject.manifest()?.id;
    let Some(folder) = subject.library.parent() else { return Ok(()) };
    let own = std::fs::canonicalize(&subject.library).unwrap_or_else(|_| subject.library.clone());
    // Where cargo keeps what it built last, which need not be what it put beside.
    let cargos = subject.library.file_name().map(|name| folder.join("deps").join(name));
    for other in discover::discover(folder).unwrap_or_default() {
        let is_own = std::fs::canonicalize(&other).is_ok_and(|other| other == own);
        if is_own || Some(&other) == cargos.as_ref() {
            continue;
        }
        let Ok(bytes) = std::fs::read(&other) else { continue };
        // The same build twice, as cargo leaves it, is the same plugin.
        if bytes == subject.bytes()? {
            continue;
        }
        let Ok(manifest) = Manifest::of_library(&bytes) else { continue };
        ensure(manifest.id != id, || {
            format!("{} has the id {id} too; a host loads one of them only", other.display())
        })?;
    }
    Ok(())
}

fn version_semantic(subject: &Subject) -> Found {
    let version = subject.manifest()?.version;
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').map(str::parse::<u64>).collect();
    ensure(numbers.len() == 3 && numbers.iter().all(Result::is_ok), || {
        format!("“{version}” is no semantic version such as 1.0.0")
    })
}

fn abi_runs(subject: &Subject) -> Found {
    match subject.manifest()?.check() {
        Err(error @ (LoadError::Version { .. } | LoadError::BadManifest { .. })) => {
            Err(Verdict::fail(error.to_string()))
        }
        _ => Ok(()),
    }
}

fn hooks_known(subject: &Subject) -> Found {
    let manifest = subject.manifest()?;
    let (known, unknown) = manifest.known_hooks();
    let newer = AbiVersion::parse(&manifest.abi).is_some_and(|abi| abi > ABI_VERSION);
    if !unknown.is_empty() {
        let words = format!("this host does not know: {}", unknown.join(", "));
        return Err(if newer { Verdict::warn(words) } else { Verdict::fail(words) });
    }
    ensure(!known.is_empty(), || "it names no hook: it is never called".to_owned())
}

fn panics_unwind(subject: &Subject) -> Found {
    ensure(subject.manifest()?.panic != PanicStrategy::Abort, || {
        "built with panic = \"abort\": a panic in it ends the process, so that it only runs in a \
         worker; build it with panic = \"unwind\""
            .to_owned()
    })
}

fn order_sensible(subject: &Subject) -> Found {
    let manifest = subject.manifest()?;
    for wish in manifest.before.iter().chain(&manifest.after) {
        let (id, hook) =
            wish.split_once(':').map_or((wish.as_str(), None), |(id, hook)| (id, Some(hook)));
        ensure(id != manifest.id.as_str(), || format!("“{wish}” names the plugin itself"))?;
        if let Some(hook) = hook {
            ensure(Hook::from_name(hook).is_some(), || {
                format!("“{wish}” names no hook that exists")
            })?;
        }
    }
    let both = manifest.before.iter().find(|wish| manifest.after.contains(wish));
    match both {
        None => Ok(()),
        Some(wish) => Err(Verdict::fail(format!("it wants to be before and after {wish}"))),
    }
}

/// Texts of the dynamic section with one of these tags.
fn dynamic(bytes: &[u8], wanted: &[u32]) -> Vec<String> {
    let read = || -> object::read::Result<Vec<String>> {
        let file = ElfFile64::<Endianness>::parse(bytes)?;
        let endian = file.endian();
        let Some((entries, strings)) = file.elf_section_table().dynamic(endian, bytes)? else {
            return Ok(Vec::new());
        };
        let strings = file.elf_section_table().strings(endian, bytes, strings)?;
        let mut found = Vec::new();
        for entry in entries {
            if wanted.iter().any(|tag| entry.tag32(endian) == Some(*tag)) {
                let text = entry.string(endian, strings)?;
                found.push(String::from_utf8_lossy(text).into_owned());
            }
        }
        Ok(found)
    };
    read().unwrap_or_default()
}

fn no_run_path(subject: &Subject) -> Found {
    let paths = dynamic(&subject.bytes()?, &[elf::DT_RPATH, elf::DT_RUNPATH]);
    let absolute = paths.iter().flat_map(|path| path.split(':')).find(|path| path.starts_with('/'));
    match absolute {
        None => Ok(()),
        Some(path) => Err(Verdict::fail(format!(
            "it looks for libraries in {path}, on its author's computer"
        ))),
    }
}

fn needs_system_only(subject: &Subject) -> Found {
    let needed = dynamic(&subject.bytes()?, &[elf::DT_NEEDED]);
    let others: Vec<_> =
        needed.iter().filter(|name| !SYSTEM.iter().any(|known| name.starts_with(known))).collect();
    if others.is_empty() {
        return Ok(());
    }
    let names = others.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    Err(Verdict::warn(format!("it needs {names}: say so in its README, or link them in")))
}

fn stack_not_executable(subject: &Subject) -> Found {
    let bytes = subject.bytes()?;
    let Ok(header) = elf::FileHeader64::<Endianness>::parse(&*bytes) else { return Ok(()) };
    let Ok(endian) = header.endian() else { return Ok(()) };
    let segments = header.program_headers(endian, &*bytes).unwrap_or_default();
    let stack = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_GNU_STACK);
    let executable = stack.is_some_and(|stack| stack.p_flags(endian) & elf::PF_X != 0);
    ensure(!executable, || {
        "it asks for an executable stack, which many systems refuse; link it with -z noexecstack"
            .to_owned()
    })
}

fn size_moderate(subject: &Subject) -> Found {
    let size = subject.bytes()?.len();
    if size <= LARGE {
        return Ok(());
    }
    Err(Verdict::warn(format!(
        "it has {} MiB; strip it, or load data from its data folder",
        size >> 20
    )))
}
