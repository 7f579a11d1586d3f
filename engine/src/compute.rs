//! What networks compute in, and where.

use std::fmt;
use std::str::FromStr;

use crate::kernels;

/// How a checkpoint's networks compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// What the values of products are rounded to.
    pub precision: Precision,
    /// What computes.
    pub device: Device,
}

impl Compute {
    /// Whether this machine and this build have what it needs.
    ///
    /// # Errors
    /// [`ComputeError`] says what to do instead.
    pub fn check(self) -> Result<(), ComputeError> {
        Backend::open(self).map(drop)
    }
}

/// What the values of products are rounded to; sums and everything else are single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision, whatever a checkpoint's weights are kept in.
    #[default]
    Full,
    /// bf16, eight bits of a value, as torch's autocast does on processors: linear layers, attention and
    /// convolutions other than those of 3×3 with stride 1, which are faster in single precision. A step
    /// takes a quarter less time, weights of the others that a file has in 32 bits half of the memory; a
    /// picture of the default checkpoint is 0.2 to 0.3 of 256 steps off on average. Only on processors with
    /// instructions for it (AVX512-BF16).
    Bf16,
}

impl Precision {
    /// Whether this processor has what it needs.
    #[must_use]
    pub fn is_available(self) -> bool {
        self == Self::Full || kernels::has_bf16()
    }
}

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor, with this crate's own kernels.
    #[default]
    Cpu,
    /// A graphics card of Nvidia's by its number, with candle's kernels: for builds with the feature
    /// `cuda`.
    Cuda(usize),
    /// One of Apple's by its number, with candle's kernels: for builds with the feature `metal`.
    Metal(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal(number) => write!(f, "metal:{number}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    /// Reads `cpu`, `cuda`, `metal`, and the latter two with a number as in `cuda:1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, number) = text.split_once(':').unwrap_or((text, "0"));
        let number = number.parse().ok();
        match (kind, number) {
            ("cpu", _) if text == "cpu" => Ok(Self::Cpu),
            ("cuda", Some(number)) => Ok(Self::Cuda(number)),
            ("metal", Some(number)) => Ok(Self::Metal(number)),
            _ => Err(format!("{text} is no device: there are cpu, cuda, cuda:1, metal")),
        }
    }
}

/// Why networks cannot compute as they are to.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// They are to compute in bf16 where there are no instructions for it.
    #[error(
        "{device} cannot compute in bf16: that takes a processor with AVX512-BF16; choose full precision"
    )]
    Bf16 {
        /// The device.
        device: Device,
    },
    /// They are to compute on a device that this build knows nothing of.
    #[error("this build cannot use {device}: choose cpu, or build with --features {feature}")]
    NotBuilt {
        /// The device.
        device: Device,
        /// What has to be built in.
        feature: &'static str,
    },
    /// They are to compute on a device that is not there.
    #[error("{device} cannot be used: {source}; choose another device, or cpu")]
    NoDevice {
        /// The device.
        device: Device,
        /// candle's report.
        source: Box<candle_core::Error>,
    },
}

/// A [`Compute`] with the device at hand.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(crate) compute: Compute,
    pub(crate) device: candle_core::Device,
}

impl Default for Backend {
    fn default() -> Self {
        Self { compute: Compute::default(), device: candle_core::Device::Cpu }
    }
}

impl Backend {
    /// What a layer of so many inputs computes in: values are rounded in pairs.
    pub(crate) fn precision(&self, inputs: usize) -> Precision {
        if inputs.is_multiple_of(2) { self.compute.precision } else { Precision::Full }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`ComputeError`] where the machine or the build does not have it.
    pub(crate) fn open(compute: Compute) -> Result<Self, ComputeError> {
        let Compute { precision, device } = compute;
        if !precision.is_available() || precision != Precision::Full && device != Device::Cpu {
            return Err(ComputeError::Bf16 { device });
        }
        let opened = match device {
            Device::Cpu => Ok(candle_core::Device::Cpu),
            Device::Cuda(_) if !cfg!(feature = "cuda") => {
                return Err(ComputeError::NotBuilt { device, feature: "cuda" });
            }
            Device::Metal(_) if !cfg!(feature = "metal") => {
                return Err(ComputeError::NotBuilt { device, feature: "metal" });
            }
            Device::Cuda(number) => candle_core::Device::new_cuda(number),
            // candle 0.11.1 panics at a number that there is not.
            Device::Metal(number) => {
                std::panic::catch_unwind(|| candle_core::Device::new_metal(number))
                    .unwrap_or_else(|_| Err(candle_core::Error::msg("there is no such card")))
            }
        };
        let device =
            opened.map_err(|source| ComputeError::NoDevice { device, source: Box::new(source) })?;
        Ok(Self { compute, device })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(3), Device::Metal(0)] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cpu:1", "metal:-1"] {
            let error = wrong.parse::<Device>().unwrap_err();
            assert!(error.contains("there are cpu, cuda"), "{error}");
        }
    }
}
