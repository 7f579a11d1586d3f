//! The probe: logs every hook and plays the script.

use std::{env, sync::Arc};

use atelier_plugin_api::{HookResult, PluginError, cx::RunStart};
use serde_json::{Map, Value, json};

use crate::{
    LOG_VARIABLE, SCRIPT_VARIABLE,
    log::Log,
    perform::{Deed, perform},
    script::{Place, Script},
    stage::{Answer, Stage},
    stages::Starting,
};

/// Where to write and what to do, for one plugin in one request.
#[derive(Clone, Debug)]
struct Setup {
    plugin: &'static str,
    log: Log,
    script: Arc<Script>,
}

impl Setup {
    fn read(plugin: &'static str, stage: &dyn Stage) -> Answer<Self> {
        let said = |argument: &str, variable: &str| {
            let argument = stage.argument(argument).ok();
            let argument = argument.as_ref().and_then(Value::as_str).unwrap_or_default();
            if argument.is_empty() {
                env::var(variable).unwrap_or_default()
            } else {
                argument.to_owned()
            }
        };
        let script = Script::parse(&said("script", SCRIPT_VARIABLE))?;
        let log = Log::new(&said("log", LOG_VARIABLE));
        Ok(Self { plugin, log, script: Arc::new(script) })
    }

    fn line(&self, hook: &str, run: Option<&str>) -> Map<String, Value> {
        let mut line = Map::new();
        line.insert("plugin".to_owned(), self.plugin.into());
        line.insert("hook".to_owned(), hook.into());
        line.insert("run".to_owned(), run.into());
        line
    }

    /// Writes the hook's line, then does what the script says.
    #[allow(clippy::panic, reason = "a script may ask for a panic")]
    fn play(&self, hook: &str, place: Place, stage: &mut dyn Stage) -> HookResult {
        let run = stage.id_of_run();
        let mut line = self.line(hook, run.as_deref());
        line.insert("frame".to_owned(), frame(place, stage.noise_level()));
        self.log.write(line)?;
        for entry in self.script.of(hook, place) {
            let deed = perform(entry, stage);
            let mut line = self.line(hook, run.as_deref());
            line.insert("action".to_owned(), entry.written.clone());
            match &deed {
                Ok(Deed::Done(value)) => line.insert("ok".to_owned(), value.clone()),
                Ok(Deed::Fails(error)) => line.insert("fails".to_owned(), error.message().into()),
                Ok(Deed::Panics(message)) => {
                    line.insert("panics".to_owned(), message.as_str().into())
                }
                Err(error) => line.insert("error".to_owned(), error.message().into()),
            };
            self.log.write(line)?;
            match deed {
                Ok(Deed::Fails(error)) => return Err(error),
                Ok(Deed::Panics(message)) => panic!("{message}"),
                Ok(Deed::Done(_)) | Err(_) => {}
            }
        }
        Ok(())
    }
}

fn frame(place: Place, sigma: Option<f64>) -> Value {
    let Place { iteration, image, step, total_steps, model_call } = place;
    let mut frame = json!({
        "iteration": iteration,
        "image": image,
        "step": step,
        "total_steps": total_steps,
        "model_call": model_call,
    });
    if let Some(sigma) = sigma {
        frame["sigma"] = sigma.into();
    }
    frame
}

/// A hook of the plugin: there is no run yet.
///
/// # Errors
/// A script that cannot be read, a log that cannot be written, and what the script asks for.
pub fn of_plugin(plugin: &'static str, hook: &str, stage: &mut dyn Stage) -> HookResult {
    Setup::read(plugin, stage)?.play(hook, Place::default(), stage)
}

/// One run of a probe.
#[derive(Debug)]
pub struct RunProbe {
    setup: Setup,
    run: String,
    /// The iteration, from the last hook that knew it: those of steps and pictures do not.
    iteration: u32,
}

impl RunProbe {
    /// Reads log and script for the run, and plays `start`.
    ///
    /// # Errors
    /// As for [`of_plugin`].
    pub fn start(plugin: &'static str, cx: &RunStart<'_>) -> Result<Self, PluginError> {
        let mut stage = Starting(cx);
        let setup = Setup::read(plugin, &stage)?;
        setup.play("start", Place::default(), &mut stage)?;
        Ok(Self { setup, run: cx.run_id(), iteration: 0 })
    }

    /// A hook of the run.
    ///
    /// # Errors
    /// As for [`of_plugin`].
    pub fn hook(&mut self, hook: &str, stage: &mut dyn Stage) -> HookResult {
        let mut place = Place { iteration: self.iteration, ..Place::default() };
        stage.locate(&mut place);
        self.iteration = place.iteration;
        self.setup.play(hook, place, stage)
    }
}

impl Drop for RunProbe {
    fn drop(&mut self) {
        let line = self.setup.line("drop", Some(&self.run));
        // There is nobody left to tell.
        let _ = self.setup.log.write(line);
    }
}
