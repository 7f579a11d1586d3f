//! What a worker may use, and the ways of Linux to hold it to that.
//!
//! Everything is set by the worker itself, for itself, before the library is opened; nothing of it can be
//! taken back. Where the kernel lacks one of the ways, the worker says so and goes on without.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use serde::{Deserialize, Serialize};

use crate::plugins::isolation::Limits;

/// What this kernel really holds a worker to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforced {
    /// No writing outside of its folders.
    pub files: bool,
    /// No sockets, no processes, no signals to others.
    pub calls: bool,
}

/// Holds this process to the limits. Call it before there are threads.
///
/// # Errors
/// Where a limit that every kernel has cannot be set.
pub(super) fn enforce(limits: &Limits, data: &Path) -> io::Result<Enforced> {
    let most = |bytes: u64| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::As, most(limits.memory_mb.saturating_mul(1 << 20)))?;
    // A dump of a worker's memory helps nobody and may be large.
    setrlimit(Resource::Core, most(0))?;
    std::fs::create_dir_all(data)?;
    let files = fence_files(limits, data).unwrap_or_else(|error| {
        tracing::debug!("no landlock: {error}");
        false
    });
    let calls = match forbid_calls(limits) {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!("no seccomp: {error}");
            false
        }
    };
    Ok(Enforced { files, calls })
}

/// Gives the process so much processor time from now on; SIGXCPU ends it then.
pub(super) fn allow_cpu(time: u64) -> io::Result<()> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let used = Duration::from_secs(used.tv_sec.unsigned_abs());
    let maximum = getrlimit(Resource::Cpu).maximum;
    let current = Some(used.as_secs().saturating_add(time).saturating_add(1));
    Ok(setrlimit(Resource::Cpu, Rlimit { current, maximum })?)
}

fn fence_files(limits: &Limits, data: &Path) -> Result<bool, Box<dyn std::error::Error>> {
    // What older kernels lack of this is left out, and told.
    let abi = ABI::V6;
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .scope(Scope::from_all(abi))?;
    let ruleset =
        if limits.network { ruleset } else { ruleset.handle_access(AccessNet::from_all(abi))? };
    let write = limits.write.iter().map(PathBuf::as_path).chain([data]);
    let null =
        PathBeneath::new(PathFd::new("/dev/null")?, AccessFs::WriteFile | AccessFs::ReadFile);
    let status = ruleset
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(write, AccessFs::from_all(abi)))?
        .add_rule(null)?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn forbid_calls(limits: &Limits) -> Result<(), Box<dyn std::error::Error>> {
    let own = u64::from(std::process::id());
    let mut rules = Rules::new();
    // Other processes, the host first of all, and the machine.
    for call in [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_setsid,
        libc::SYS_setpgid,
        // It does what it is asked behind the filter's back.
        libc::SYS_io_uring_setup,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_reboot,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_sethostname,
    ] {
        rules.insert(call, Vec::new());
    }
    // Where the first argument, a process, is none of these.
    let others = |allowed: &[u64]| {
        let not = |process: &u64| {
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *process)
        };
        let conditions = allowed.iter().map(not).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, seccompiler::BackendError>(vec![SeccompRule::new(conditions)?])
    };
    // Its own limits it may lower, those of the host it may not.
    rules.insert(libc::SYS_prlimit64, others(&[own, 0])?);
    if !limits.processes {
        for call in [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo] {
            rules.insert(call, others(&[own])?);
        }
        rules.insert(libc::SYS_tkill, Vec::new());
        rules.insert(libc::SYS_execve, Vec::new());
        rules.insert(libc::SYS_execveat, Vec::new());
        #[cfg(target_arch = "x86_64")]
        {
            rules.insert(libc::SYS_fork, Vec::new());
            rules.insert(libc::SYS_vfork, Vec::new());
        }
        // A thread is a clone with this flag.
        let thread = libc::CLONE_THREAD as u64;
        let masked = SeccompCmpOp::MaskedEq(thread);
        let process = SeccompCondition::new(0, SeccompCmpArgLen::Qword, masked, 0)?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![process])?]);
    }
    if !limits.network {
        rules.insert(libc::SYS_socket, Vec::new());
    }
    install(rules, libc::EPERM)?;
    if !limits.processes {
        // Its flags lie in memory, where no filter can look. As if it were not there, the C library
        // takes `clone`.
        install(Rules::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?;
    }
    Ok(())
}

/// The same calls by the numbers of the x32 ABI too, which some kernels have on this architecture.
#[cfg(target_arch = "x86_64")]
fn by_all_numbers(mut rules: Rules) -> Rules {
    const X32: i64 = 0x4000_0000;
    let again: Vec<_> = rules.iter().map(|(call, rule)| (call | X32, rule.clone())).collect();
    rules.extend(again);
    // Calls that x32 has under numbers of its own, `execve` and `ptrace` among them.
    rules.extend((512..=547).map(|call| (call | X32, Vec::new())));
    rules
}

#[cfg(not(target_arch = "x86_64"))]
fn by_all_numbers(rules: Rules) -> Rules {
    rules
}

fn install(rules: Rules, answer: i32) -> Result<(), Box<dyn std::error::Error>> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(
        by_all_numbers(rules),
        SeccompAction::Allow,
        SeccompAction::Errno(answer.unsigned_abs()),
        architecture,
    )?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&program)?;
    Ok(())
}
