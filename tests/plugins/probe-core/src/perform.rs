//! Doing what an action says.

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use atelier_plugin_api::{
    FromOption, Image, Live, OptionError, OwnedTensor, PluginError, Snapshot,
};
use serde_json::{Map, Value, json};

use crate::{
    script::{Action, Entry, Input},
    stage::{Answer, Bytes, Stage, absent},
};

/// How an action ended.
#[derive(Debug)]
pub(crate) enum Deed {
    /// Its result goes into the log, and the hook goes on.
    Done(Value),
    /// Its result goes into the log, and the hook fails.
    Fails(PluginError),
    /// A line goes into the log, then comes a panic.
    Panics(String),
}

const BARRIER_PATIENCE: Duration = Duration::from_secs(20);

/// Does what an action says. An error goes into the log, and the hook goes on.
pub(crate) fn perform(entry: &Entry, stage: &mut dyn Stage) -> Answer<Deed> {
    let read_as = entry.read_as.as_deref();
    let value = match &entry.action {
        Action::Live(key) => read(&stage.live_options(), key, read_as)?,
        Action::Snapshot(key) => read(&stage.snapshot_options()?, key, read_as)?,
        Action::LiveAll(_) => told(&stage.live_options().all()?),
        Action::SnapshotAll(_) => told(&stage.snapshot_options()?.all()?),
        Action::WantsSnapshot(_) => match stage.snapshot_options().map(Snapshot::all) {
            Ok(Ok(all)) => told(&all),
            Ok(Err(error)) => return Ok(Deed::Fails(error.into())),
            Err(error) => return Ok(Deed::Fails(error)),
        },
        Action::SetLive(key, value) => done(stage.live_options().set(key, value)?),
        Action::SetRun(key, value) => done(stage.own_options()?.set(key, value)?),
        Action::Override(key, value) => done(stage.add_override(key, value)?),
        Action::Overrides(_) => Value::Object(stage.read_overrides()?),
        Action::Params(_) => params(stage),
        Action::Args(_) => arguments(stage)?,
        Action::Set(words) => set(stage, words)?,
        Action::SetPrompt(prompts) => set_all(stage, "prompts", prompts)?,
        Action::SetNegativePrompt(prompts) => set_all(stage, "negative_prompts", prompts)?,
        Action::SetSeed(seeds) => set_all(stage, "seeds", seeds)?,
        Action::Look(_) => look(stage, &entry.buffer)?,
        Action::Fill(value) => change(stage, entry, |_| *value)?,
        Action::Add(value) => change(stage, entry, |old| old + value)?,
        Action::Nan(_) => {
            stage.floats_mut(&entry.buffer)?.fill(f32::NAN);
            Value::Null
        }
        Action::Push(width, height, like) => done(stage.add_picture(*width, *height, *like)?),
        Action::Remove(index) => done(stage.remove_picture(*index)?),
        Action::Replace(index, width, height) => {
            done(stage.replace_picture(*index, *width, *height)?)
        }
        Action::ReplaceCond(tokens) => done(stage.resize_cond(*tokens)?),
        Action::ReplaceUncond(tokens) => done(stage.resize_uncond(*tokens)?),
        Action::EncodeText(text) => {
            let cond = stage.text_to_cond(text)?;
            summary(&cond.shape, &cond.data)
        }
        Action::Decode(input) => {
            let (shape, data) = input_of(stage, input, &entry.buffer)?;
            tensor(&stage.to_pixels(shape, &data)?)
        }
        Action::Encode(input) => {
            let (shape, data) = input_of(stage, input, &entry.buffer)?;
            tensor(&stage.to_latents(shape, &data)?)
        }
        Action::SavePicture(suffix) => save(stage, suffix, entry.index.unwrap_or(0))?,
        Action::Infotext(key, value) => done(stage.add_infotext(key, value)?),
        Action::Log(message) => {
            tracing::info!("{message}");
            Value::Null
        }
        Action::Cancelled(_) => stage.is_cancelled().into(),
        Action::Barrier(ours, theirs) => match barrier(ours, theirs) {
            Ok(()) => Value::Null,
            Err(error) => return Ok(Deed::Fails(error)),
        },
        Action::SleepMs(millis) => {
            sleep(Duration::from_millis(*millis));
            Value::Null
        }
        Action::Error(message) => return Ok(Deed::Fails(PluginError::new(message))),
        Action::Stop(message) => return Ok(Deed::Fails(PluginError::stop_run(message))),
        Action::Panic(message) => return Ok(Deed::Panics(message.clone())),
    };
    Ok(Deed::Done(value))
}

fn done((): ()) -> Value {
    Value::Null
}

/// Something that is read by key and type.
trait Source {
    fn read<T: FromOption>(&self, key: &str) -> Result<T, OptionError>;
}
impl Source for Live<'_> {
    fn read<T: FromOption>(&self, key: &str) -> Result<T, OptionError> {
        self.get(key)
    }
}
impl Source for Snapshot<'_> {
    fn read<T: FromOption>(&self, key: &str) -> Result<T, OptionError> {
        self.get(key)
    }
}

fn read(source: &impl Source, key: &str, read_as: Option<&str>) -> Answer<Value> {
    Ok(match read_as {
        None => source.read::<Value>(key)?,
        Some("bool") => source.read::<bool>(key)?.into(),
        Some("int") => source.read::<i64>(key)?.into(),
        Some("float") => source.read::<f64>(key)?.into(),
        Some("text") => source.read::<String>(key)?.into(),
        Some("list") => source.read::<Vec<String>>(key)?.into(),
        Some(other) => return Err(PluginError::new(format!("script: no type is named {other}"))),
    })
}

/// The number of keys, and what the probes' own options say.
fn told(all: &Map<String, Value>) -> Value {
    let own = all.iter().filter(|(key, _)| key.starts_with("probe_"));
    let own: Map<_, _> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    json!({ "keys": all.len(), "own": own, "samples_format": all.get("samples_format") })
}

fn params(stage: &dyn Stage) -> Value {
    let mut facts = Map::new();
    stage.params(&mut facts);
    stage.lists(&mut facts);
    stage.own(&mut facts);
    Value::Object(facts)
}

fn arguments(stage: &dyn Stage) -> Answer<Value> {
    let mut all = Map::new();
    for name in ["number", "flag", "choice"] {
        all.insert(name.to_owned(), stage.argument(name)?);
    }
    Ok(Value::Object(all))
}

fn set(stage: &mut dyn Stage, words: &[Value]) -> Answer<Value> {
    let found = match words {
        [Value::String(name), value] => {
            stage.set_param(name, value)? || stage.set_own(name, value)?
        }
        [Value::String(list), Value::Number(index), value] => {
            let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
            stage.set_element(list, index.unwrap_or(usize::MAX), value)?
        }
        _ => {
            return Err(PluginError::new(
                "script: set takes [name, value] or [list, index, value]",
            ));
        }
    };
    if found { Ok(Value::Null) } else { absent(&format!("way to set {}", Value::from(words))) }
}

fn set_all<T: Clone + Into<Value>>(
    stage: &mut dyn Stage,
    list: &str,
    values: &[T],
) -> Answer<Value> {
    for (index, value) in values.iter().enumerate() {
        if !stage.set_element(list, index, &value.clone().into())? {
            return absent(&format!("{list} {index} to set"));
        }
    }
    Ok(Value::Null)
}

/// Says what is in the stage's memory, without asking to write.
fn look(stage: &dyn Stage, buffer: &str) -> Answer<Value> {
    if let Some(Bytes { size: (width, height), data }) = stage.bytes(buffer) {
        return Ok(seen(width, height, data));
    }
    if stage.pictures() == 0 || !buffer.is_empty() {
        let floats = stage.floats(buffer)?;
        return Ok(summary(&floats.shape, floats.data));
    }
    let picture = |index| {
        let picture = stage.picture(index)?;
        Ok(seen(picture.width, picture.height, picture.data))
    };
    (0..stage.pictures()).map(picture).collect::<Answer<Vec<_>>>().map(Value::Array)
}

/// What is in bytes.
fn seen(width: usize, height: usize, data: &[u8]) -> Value {
    let sum: u64 = data.iter().map(|byte| u64::from(*byte)).sum();
    json!({
        "width": width,
        "height": height,
        "mean": sum as f64 / data.len().max(1) as f64,
        "hash": hash(data.iter().copied()),
    })
}

fn tensor(tensor: &OwnedTensor) -> Value {
    summary(&tensor.shape, &tensor.data)
}

fn summary(shape: &[usize], data: &[f32]) -> Value {
    let sum: f64 = data.iter().map(|value| f64::from(*value)).sum();
    json!({
        "shape": shape,
        "mean": sum / data.len().max(1) as f64,
        "min": data.iter().copied().fold(f32::INFINITY, f32::min),
        "max": data.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        "finite": data.iter().all(|value| value.is_finite()),
        "hash": hash(data.iter().flat_map(|value| value.to_le_bytes())),
    })
}

/// FNV-1a, 64 bits, in hex: enough to tell whether two buffers are equal.
fn hash(bytes: impl Iterator<Item = u8>) -> String {
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Changes every element of the stage's floats or pictures; bytes count as 0 to 1.
fn change(stage: &mut dyn Stage, entry: &Entry, new: impl Fn(f32) -> f32) -> Answer<Value> {
    let byte = |old: u8| (new(f32::from(old) / 255.0) * 255.0).round().clamp(0.0, 255.0) as u8;
    if let Some(data) = stage.bytes_mut(&entry.buffer) {
        for value in data {
            *value = byte(*value);
        }
        return Ok(Value::Null);
    }
    if stage.pictures() == 0 || !entry.buffer.is_empty() {
        for value in stage.floats_mut(&entry.buffer)? {
            *value = new(*value);
        }
        return Ok(Value::Null);
    }
    let pictures = entry.index.map_or(0..stage.pictures(), |index| index..index + 1);
    for index in pictures {
        for value in stage.picture_mut(index)?.data {
            *value = byte(*value);
        }
    }
    Ok(Value::Null)
}

/// What a service shall work on.
fn input_of(stage: &dyn Stage, input: &Input, buffer: &str) -> Answer<([usize; 4], Vec<f32>)> {
    match input {
        Input::Zeros(shape) => Ok((*shape, vec![0.0; shape.iter().product()])),
        Input::Own(_) => {
            let floats = stage.floats(buffer)?;
            let shape = floats.shape.as_slice().try_into().map_err(|_| {
                PluginError::new(format!("a service wants four sizes, not {:?}", floats.shape))
            })?;
            Ok((shape, floats.data.to_vec()))
        }
    }
}

/// Saves a picture of the stage, or a grey one where it has none.
fn save(stage: &dyn Stage, suffix: &str, index: usize) -> Answer<Value> {
    let grey = [128; 8 * 8 * 3];
    let picture = match stage.pictures() {
        0 => Image { width: 8, height: 8, data: &grey },
        _ => stage.picture(index)?,
    };
    stage.keep_picture(suffix, picture).map(Value::from)
}

/// Creates one file and waits for another: two runs, or a run and a test, meet here.
fn barrier(ours: &Path, theirs: &Path) -> Answer<()> {
    fs::write(ours, "").map_err(|error| {
        PluginError::new(format!("barrier: cannot create {}: {error}", ours.display()))
    })?;
    let since = Instant::now();
    while !theirs.exists() {
        if since.elapsed() > BARRIER_PATIENCE {
            let message = format!("barrier: {} did not appear in 20 s", theirs.display());
            return Err(PluginError::new(message));
        }
        sleep(Duration::from_millis(2));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_tells_equal_floats_from_others() {
        let one = summary(&[1, 2], &[0.0, 1.0]);
        assert_eq!(one["mean"], 0.5);
        assert_eq!(one["max"], 1.0);
        assert_eq!(one["hash"], summary(&[2], &[0.0, 1.0])["hash"]);
        assert_ne!(one["hash"], summary(&[2], &[-0.0, 1.0])["hash"]);
        assert_eq!(summary(&[1], &[f32::NAN])["finite"], false);
    }

    #[test]
    fn a_barrier_opens_when_the_other_side_is_there() {
        let folder = std::env::temp_dir().join(format!("probe-barrier-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (here, there) = (folder.join("here"), folder.join("there"));
        let other = {
            let (here, there) = (here.clone(), there.clone());
            std::thread::spawn(move || barrier(&there, &here).is_ok())
        };
        assert!(barrier(&here, &there).is_ok());
        assert!(other.join().expect("the other side"));
        fs::remove_dir_all(&folder).expect("the folder is there");
        assert!(barrier(&folder.join("gone"), &there).is_err());
    }
}
