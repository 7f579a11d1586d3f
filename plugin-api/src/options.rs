//! Reading and writing options: live, from the snapshot, for this run only.

use atelier_plugin_abi::{
    ValueRef,
    codes::{OptionSource, OptionTarget},
    plugin::HookCx,
};

use crate::error::OptionError;

/// A type that an option can be read as.
pub trait FromOption: Sized {
    /// The type's name in messages.
    const WANTED: &'static str;
    /// Converts, or answers `None` where the value has another type.
    fn from_option(value: ValueRef<'_>) -> Option<Self>;
}

macro_rules! from_option {
    ($type:ty, $wanted:literal, $($pattern:pat => $value:expr),+) => {
        impl FromOption for $type {
            const WANTED: &'static str = $wanted;
            fn from_option(value: ValueRef<'_>) -> Option<Self> {
                match value { $($pattern => $value,)+ _ => None }
            }
        }
    };
}

from_option!(bool, "a bool", ValueRef::Bool(v) => Some(v));
from_option!(i64, "an integer", ValueRef::Int(v) => Some(v));
from_option!(u32, "a whole number from 0", ValueRef::Int(v) => v.try_into().ok());
from_option!(f64, "a number", ValueRef::Float(v) => Some(v), ValueRef::Int(v) => Some(v as f64));
from_option!(f32, "a number", ValueRef::Float(v) => Some(v as f32), ValueRef::Int(v) => Some(v as f32));
from_option!(i32, "an integer", ValueRef::Int(v) => v.try_into().ok());
from_option!(usize, "a whole number from 0", ValueRef::Int(v) => v.try_into().ok());
from_option!(std::path::PathBuf, "text", ValueRef::Text(v) => Some(v.into()));
from_option!(String, "text", ValueRef::Text(v) => Some(v.to_owned()));
from_option!(Vec<String>, "a list of texts", ValueRef::Json(v) => serde_json::from_str(v).ok());
impl FromOption for serde_json::Value {
    const WANTED: &'static str = "anything";
    fn from_option(value: ValueRef<'_>) -> Option<Self> {
        Some(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Bool(v) => v.into(),
            ValueRef::Int(v) => v.into(),
            ValueRef::Float(v) => v.into(),
            ValueRef::Text(v) => v.into(),
            ValueRef::Json(v) => serde_json::from_str(v).ok()?,
        })
    }
}

impl<T: FromOption> FromOption for Option<T> {
    const WANTED: &'static str = T::WANTED;
    fn from_option(value: ValueRef<'_>) -> Option<Self> {
        if value == ValueRef::Null { Some(None) } else { T::from_option(value).map(Some) }
    }
}

/// A type that an option can be written from.
pub trait IntoOption {
    /// Lends the value to `write`.
    fn lend<R>(&self, write: impl FnOnce(ValueRef<'_>) -> R) -> R;
}

macro_rules! into_option {
    ($($type:ty: $value:ident => $lent:expr;)+) => { $(
        impl IntoOption for $type {
            fn lend<R>(&self, write: impl FnOnce(ValueRef<'_>) -> R) -> R {
                let $value = self;
                write($lent)
            }
        }
    )+ };
}

into_option! {
    bool: v => ValueRef::Bool(*v);
    i64: v => ValueRef::Int(*v);
    i32: v => ValueRef::Int(i64::from(*v));
    u32: v => ValueRef::Int(i64::from(*v));
    f64: v => ValueRef::Float(*v);
    f32: v => ValueRef::Float(f64::from(*v));
    str: v => ValueRef::Text(v);
    String: v => ValueRef::Text(v);
    Vec<String>: v => ValueRef::Json(&serde_json::Value::from(v.clone()).to_string());
}

impl IntoOption for serde_json::Value {
    fn lend<R>(&self, write: impl FnOnce(ValueRef<'_>) -> R) -> R {
        let text;
        write(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(v) => ValueRef::Bool(*v),
            Self::Number(v) => match (v.as_i64(), v.as_f64()) {
                (Some(v), _) => ValueRef::Int(v),
                (None, Some(v)) => ValueRef::Float(v),
                (None, None) => ValueRef::Null,
            },
            Self::String(v) => ValueRef::Text(v),
            Self::Array(_) | Self::Object(_) => {
                text = self.to_string();
                ValueRef::Json(&text)
            }
        })
    }
}

impl IntoOption for usize {
    fn lend<R>(&self, write: impl FnOnce(ValueRef<'_>) -> R) -> R {
        write(i64::try_from(*self).map_or(ValueRef::Null, ValueRef::Int))
    }
}

/// `None` is null.
impl<T: IntoOption> IntoOption for Option<T> {
    fn lend<R>(&self, write: impl FnOnce(ValueRef<'_>) -> R) -> R {
        match self {
            Some(value) => value.lend(write),
            None => write(ValueRef::Null),
        }
    }
}

impl<T: IntoOption + ?Sized> IntoOption for &T {
    fn lend<R>(&self, write: impl FnOnce(ValueRef<'_>) -> R) -> R {
        (**self).lend(write)
    }
}

fn read<T: FromOption>(cx: HookCx<'_>, source: OptionSource, key: &str) -> Result<T, OptionError> {
    let value = cx.read_option(source, key)?;
    T::from_option(value).ok_or_else(|| OptionError::Type {
        key: key.to_owned(),
        wanted: T::WANTED,
        found: value.kind_name().to_owned(),
    })
}

fn read_all(
    cx: HookCx<'_>,
    source: OptionSource,
) -> Result<serde_json::Map<String, serde_json::Value>, OptionError> {
    match cx.read_all_options(source)? {
        ValueRef::Json(text) => {
            serde_json::from_str(text).map_err(|error| OptionError::Host(error.to_string()))
        }
        other => {
            Err(OptionError::Host(format!("the host sent {} for all options", other.kind_name())))
        }
    }
}

fn write(
    cx: HookCx<'_>,
    target: OptionTarget,
    key: &str,
    value: impl IntoOption,
) -> Result<(), OptionError> {
    Ok(value.lend(|value| cx.write_option(target, key, value))?)
}

/// The live options, as A1111's extensions read and write them (`shared.opts`).
///
/// Inside a run a read sees the run's overrides before the store, and whatever anybody wrote since.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a>(pub(crate) HookCx<'a>);

impl Live<'_> {
    /// Reads an option as it is at this moment.
    ///
    /// # Errors
    /// An unknown key, or another type.
    pub fn get<T: FromOption>(self, key: &str) -> Result<T, OptionError> {
        read(self.0, OptionSource::Live, key)
    }

    /// Reads all options at once (`shared.opts.data`, with defaults filled in).
    ///
    /// # Errors
    /// Where the host cannot say.
    pub fn all(self) -> Result<serde_json::Map<String, serde_json::Value>, OptionError> {
        read_all(self.0, OptionSource::Live)
    }

    /// Writes an option as A1111's extensions do: a key that the run overrides changes for this run,
    /// any other at once and for everybody, other runs included. [`RunOptions::set`] is the way that
    /// leaks nowhere.
    ///
    /// # Errors
    /// An unknown key, or a value that does not cast.
    pub fn set(self, key: &str, value: impl IntoOption) -> Result<(), OptionError> {
        write(self.0, OptionTarget::Live, key, value)
    }
}

/// The run's snapshot: all options as they were when the run was prepared. It never changes.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a>(pub(crate) HookCx<'a>);

impl Snapshot<'_> {
    /// Reads an option as it was when the run was prepared.
    ///
    /// # Errors
    /// An unknown key, another type, or a run without a snapshot.
    pub fn get<T: FromOption>(self, key: &str) -> Result<T, OptionError> {
        read(self.0, OptionSource::Snapshot, key)
    }

    /// Reads all options at once.
    ///
    /// # Errors
    /// A run without a snapshot.
    pub fn all(self) -> Result<serde_json::Map<String, serde_json::Value>, OptionError> {
        read_all(self.0, OptionSource::Snapshot)
    }
}

/// Options of this run: what a plugin writes here its host and the run's plugins see, nobody else,
/// and it is gone with the run. The snapshot, taken before, does not change.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions<'a>(pub(crate) HookCx<'a>);

impl RunOptions<'_> {
    /// Writes an option for this run.
    ///
    /// # Errors
    /// An unknown key, or a value that does not cast.
    pub fn set(self, key: &str, value: impl IntoOption) -> Result<(), OptionError> {
        write(self.0, OptionTarget::Run, key, value)
    }
}

/// The overrides of a request, before they are applied.
#[derive(Clone, Copy, Debug)]
pub struct Overrides<'a>(pub(crate) HookCx<'a>);

impl Overrides<'_> {
    /// The overrides as they stand.
    ///
    /// # Errors
    /// Where the host cannot say.
    pub fn all(self) -> Result<serde_json::Map<String, serde_json::Value>, OptionError> {
        let value = self.0.get(atelier_plugin_abi::Field::Overrides, 0)?;
        FromOption::from_option(value)
            .and_then(|value: serde_json::Value| value.as_object().cloned())
            .ok_or_else(|| OptionError::Host("the host sent no object of overrides".to_owned()))
    }

    /// Adds or changes an override.
    ///
    /// # Errors
    /// An unknown key, or a value that does not cast.
    pub fn set(self, key: &str, value: impl IntoOption) -> Result<(), OptionError> {
        write(self.0, OptionTarget::Override, key, value)
    }
}
