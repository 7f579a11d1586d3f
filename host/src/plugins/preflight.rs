//! Looks a library over before it is opened.
//!
//! The system's loader maps a file without looking at its length: opening a library that was cut off
//! in the middle of a segment ends the process with SIGBUS. So the headers are checked here first.

use object::{
    Endianness, elf,
    read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _},
};

use super::error::LoadError;

#[cfg(target_arch = "x86_64")]
const MACHINE: (u16, &str) = (elf::EM_X86_64, "x86-64");
#[cfg(target_arch = "aarch64")]
const MACHINE: (u16, &str) = (elf::EM_AARCH64, "64-bit Arm");
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: (u16, &str) = (elf::EM_NONE, "of a kind this host was not tested on");

/// Checks a library's headers against its length.
///
/// # Errors
/// A file that is no library, one for another machine, one that is cut off.
pub fn preflight(bytes: &[u8]) -> Result<(), LoadError> {
    let not = |reason: &str| LoadError::NotALibrary { reason: reason.to_owned() };
    if bytes.is_empty() {
        return Err(not("the file is empty"));
    }
    if !cfg!(target_os = "linux") {
        return object::File::parse(bytes).map(|_| ()).map_err(|error| not(&error.to_string()));
    }
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(not("it does not begin as ELF files do"));
    }
    let have = bytes.len() as u64;
    let Ok(header) = elf::FileHeader64::<Endianness>::parse(bytes) else {
        if bytes.len() < size_of::<elf::FileHeader64<Endianness>>() {
            return Err(LoadError::Truncated {
                need: size_of::<elf::FileHeader64<Endianness>>() as u64,
                have,
            });
        }
        return Err(not("it is no 64-bit ELF file"));
    };
    let endian = header.endian().map_err(|error| not(&error.to_string()))?;
    if header.e_type(endian) != elf::ET_DYN {
        return Err(not("it is an ELF file, but no shared library"));
    }
    let machine = header.e_machine(endian);
    if machine != MACHINE.0 {
        let found = match machine {
            elf::EM_X86_64 => "x86-64".to_owned(),
            elf::EM_AARCH64 => "64-bit Arm".to_owned(),
            other => format!("machine type {other}"),
        };
        return Err(LoadError::Machine { found, wanted: MACHINE.1 });
    }
    let table = |offset: u64, count: u16, size: u16| {
        offset.saturating_add(u64::from(count) * u64::from(size))
    };
    let segments_end =
        table(header.e_phoff(endian), header.e_phnum(endian), header.e_phentsize(endian));
    let sections_end =
        table(header.e_shoff(endian), header.e_shnum(endian), header.e_shentsize(endian));
    let mut need = segments_end.max(sections_end);
    if need <= have {
        let broken = |error: object::Error| not(&error.to_string());
        for segment in header.program_headers(endian, bytes).map_err(broken)? {
            if segment.p_type(endian) == elf::PT_LOAD {
                need = need.max(segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
            }
        }
        for section in header.section_headers(endian, bytes).map_err(broken)? {
            if section.sh_type(endian) != elf::SHT_NOBITS {
                need = need.max(section.sh_offset(endian).saturating_add(section.sh_size(endian)));
            }
        }
    }
    if need > have {
        return Err(LoadError::Truncated { need, have });
    }
    Ok(())
}
