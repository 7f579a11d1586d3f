//! Drawing, for txt2img and img2img alike: from flags to a request, through the run, to what is
//! printed.

mod args;
mod blocks;
mod checkpoint;
mod output;
mod progress;
mod values;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

pub(super) use args::DrawArgs;
use progress::Progress;
pub(super) use values::{nearest, overrides};

use super::{Global, error::Failure, host, log, ui::Ui};
use crate::{
    Atelier,
    engine::EngineProvider,
    options::Writer,
    run::{CancelToken, RunRequest, RunState},
};

/// Draws what the flags and `fill` ask for.
pub(super) fn draw(
    ui: &Ui,
    global: &Global,
    args: &DrawArgs,
    fill: impl FnOnce(&mut RunRequest),
) -> Result<(), Failure> {
    let atelier = host::open(ui, global)?;
    let mut request = args.request(&atelier)?;
    fill(&mut request);
    let overridden: Vec<String> = request.override_settings.keys().cloned().collect();

    let provider = EngineProvider::new(atelier.data()).with_compute(args.compute()?);
    let provider = checkpoint::provided(&mut request, args.model()?, provider)?;
    let cancel = CancelToken::new();
    cancel_on_interrupt(&cancel)?;
    let progress = Progress::new(ui, args.preview());
    log::above(Some(progress.bar()));
    let runner = atelier.runner(Arc::new(provider)).observer(Arc::new(progress.clone())).build();
    let finished = runner.run(request, &cancel);
    log::above(None);
    progress.clear();
    let finished = finished?;

    if args.keep_overrides() {
        keep(&atelier, &overridden)?;
    }
    output::tell(ui, args, &finished)?;
    match (finished.record.state, finished.error) {
        (RunState::Done, _) => Ok(()),
        (RunState::Cancelled, _) => Err(Failure::Cancelled),
        (_, Some(error)) => Err(error.into()),
        (state, None) => Err(Failure::failed(format!("the run is {}", state.word()))),
    }
}

/// The first interrupt ends the run between two steps, the second one the process.
fn cancel_on_interrupt(cancel: &CancelToken) -> Result<(), Failure> {
    let (cancel, asked) = (cancel.clone(), AtomicBool::new(false));
    let handler = move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        cancel.cancel();
    };
    ctrlc::set_handler(handler).map_err(Failure::failed)
}

/// Makes overrides that the run has left behind last longer than this process.
fn keep(atelier: &Atelier, keys: &[String]) -> Result<(), Failure> {
    let state = atelier.store().load_full();
    let values = keys.iter().filter_map(|key| Some((key, state.options.by_key(key)?.clone())));
    atelier.store().set_many(values, &Writer::Cli).map_err(|errors| {
        Failure::failed(errors.iter().map(ToString::to_string).collect::<String>())
    })?;
    atelier.store().save(atelier.config())?;
    Ok(())
}
