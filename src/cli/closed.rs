//! What this process holds in memory is for nobody else: neither for a core dump nor for a debugger.

use rustix::process::{Resource, Rlimit, setrlimit};

use super::failure::Failure;

/// Before the first secret is in memory, whichever command it is: most of them hold one sooner or later.
pub(super) fn close() -> Result<(), Failure> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)
        .map_err(|error| Failure::new(format_args!("core dumps cannot be turned off: {error}")))?;
    no_debugger()
}

/// A limit of zero does not keep a core from a program that the kernel pipes it to; this does, too.
#[cfg(target_os = "linux")]
fn no_debugger() -> Result<(), Failure> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| {
        Failure::new(format_args!(
            "this process cannot be closed to debuggers: {error}"
        ))
    })
}

#[cfg(not(target_os = "linux"))]
fn no_debugger() -> Result<(), Failure> {
    Ok(())
}
